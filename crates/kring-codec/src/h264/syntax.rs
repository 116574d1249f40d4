//! What an access unit's headers say: how large its pictures are, what they refer to and what is remembered of them.
//!
//! The bytes may be a stranger's. What a decoder would take more than [`MAX_MEMORY`] for is refused here, before the decoder
//! sees it, as is what Kring's encoders never write: interlacing, slice groups, data partitions, scalable layers.

use h264_reader::Context;
use h264_reader::nal::pps::PicParameterSet;
use h264_reader::nal::slice::{
    DecRefPicMarking, MemoryManagementControlOperation, ModificationOfPicNums, RefPicListModifications,
    SliceFamily, SliceHeader,
};
use h264_reader::nal::sps::{FrameMbsFlags, SeqParameterSet};
use h264_reader::nal::{Nal as _, RefNal};

use super::annexb::{self, Nal};
use crate::raw::Picture;

/// The most that the pictures which a decoder keeps may take, in bytes: 96 MiB, such as 28 of 1920x1088.
pub const MAX_MEMORY: u64 = 96 << 20;

/// A picture that others were predicted from, as H.264 names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reference {
    /// By `frame_num`.
    Short(u32),
    /// By its long-term index.
    Long(u32),
}

/// What a picture has remembered or forgotten, of section 7.4.3.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// The picture of that `frame_num` is forgotten.
    Forget(u32),
    /// The picture of that `frame_num` gets a long-term index.
    Keep(u32, u32),
    /// This picture gets a long-term index.
    KeepThis(u32),
}

/// The first slice header of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) frame_num: u32,
    /// `frame_num` counts modulo this.
    pub(super) modulus: u32,
    /// The number of an IDR picture.
    pub(super) idr: Option<u32>,
    /// Others may be predicted from it.
    pub(super) is_reference: bool,
    /// It is predicted from others.
    pub(super) is_predicted: bool,
    /// What it is predicted from first, if it says so rather than leaving it to the order of what came.
    pub(super) refers_to: Option<Reference>,
    pub(super) marks: Vec<Mark>,
}

/// The parameter sets that have come.
#[derive(Default)]
pub(super) struct Headers(Context);

impl Headers {
    /// Reads an access unit. `None` if it holds no picture.
    ///
    /// # Errors
    /// What was expected and did not come.
    pub(super) fn read(&mut self, unit: &[u8]) -> Result<Option<Slice>, &'static str> {
        let mut slice = None;
        for nal in annexb::nals(unit) {
            match nal.kind() {
                annexb::SEQUENCE => self.0.put_seq_param_set(sequence(&nal)?),
                annexb::PICTURE => {
                    let set = PicParameterSet::from_bits(&self.0, nal.reader()?.rbsp_bits());
                    let set = set.map_err(|_| "valid picture parameters")?;
                    if set.slice_groups.is_some() {
                        return Err("pictures without slice groups");
                    }
                    self.0.put_pic_param_set(set);
                }
                annexb::SLICE | annexb::IDR_SLICE if slice.is_none() => slice = Some(self.slice(&nal)?),
                // More slices; remarks, delimiters, ends, filling.
                annexb::SLICE | annexb::IDR_SLICE | 6 | 9..=12 => {}
                _ => return Err("plain H.264 without extensions or data partitions"),
            }
        }
        Ok(slice)
    }

    fn slice(&self, nal: &Nal<'_>) -> Result<Slice, &'static str> {
        let reader = nal.reader()?;
        let header = reader.header().map_err(|_| "a NAL unit's header")?;
        let read = SliceHeader::from_bits(&self.0, &mut reader.rbsp_bits(), header, None);
        let (slice, sequence, _) = read.map_err(|_| "a slice header whose parameters have come")?;
        let modulus = 1 << sequence.log2_max_frame_num();
        let frame_num = u32::from(slice.frame_num);
        // Wraps as section 8.2.4.1 says.
        let before = |difference: u32| frame_num.wrapping_sub(difference.wrapping_add(1)) & (modulus - 1);
        let first = match &slice.ref_pic_list_modification {
            Some(RefPicListModifications::P { ref_pic_list_modification_l0: list }) => list.first(),
            _ => None,
        };
        let refers_to = first.map(|first| match *first {
            ModificationOfPicNums::Add(n) => Reference::Short(frame_num.wrapping_add(n + 1) & (modulus - 1)),
            ModificationOfPicNums::LongTermRef(n) => Reference::Long(n),
            ModificationOfPicNums::Subtract(n)
            | ModificationOfPicNums::SubtractViewIdx(n)
            | ModificationOfPicNums::AddViewIdx(n) => Reference::Short(before(n)),
        });
        let marks = match &slice.dec_ref_pic_marking {
            Some(DecRefPicMarking::Idr { long_term_reference_flag: true, .. }) => vec![Mark::KeepThis(0)],
            Some(DecRefPicMarking::Adaptive(operations)) => {
                operations.iter().filter_map(|operation| mark(operation, before)).collect()
            }
            _ => Vec::new(),
        };
        Ok(Slice {
            frame_num,
            modulus,
            idr: slice.idr_pic_id,
            is_reference: header.nal_ref_idc() != 0,
            is_predicted: !matches!(slice.slice_type.family, SliceFamily::I | SliceFamily::SI),
            refers_to,
            marks,
        })
    }
}

fn mark(operation: &MemoryManagementControlOperation, before: impl Fn(u32) -> u32) -> Option<Mark> {
    Some(match *operation {
        MemoryManagementControlOperation::ShortTermUnusedForRef { difference_of_pic_nums_minus1: n } => {
            Mark::Forget(before(n))
        }
        MemoryManagementControlOperation::ShortTermUsedForLongTerm {
            difference_of_pic_nums_minus1: n,
            long_term_frame_idx,
        } => Mark::Keep(before(n), long_term_frame_idx),
        MemoryManagementControlOperation::CurrentUsedForLongTerm { long_term_frame_idx } => {
            Mark::KeepThis(long_term_frame_idx)
        }
        _ => return None,
    })
}

/// Reads sequence parameters and refuses what would take too much memory.
fn sequence(nal: &Nal<'_>) -> Result<SeqParameterSet, &'static str> {
    let set =
        SeqParameterSet::from_bits(nal.reader()?.rbsp_bits()).map_err(|_| "valid sequence parameters")?;
    if !matches!(set.frame_mbs_flags, FrameMbsFlags::Frames) {
        return Err("pictures without interlacing");
    }
    let (width, height) = set.pixel_dimensions().map_err(|_| "a picture size")?;
    Picture::check_size(width, height).map_err(|_| "a picture size, even and at most 8192 a side")?;
    // OpenH264 keeps two pictures more than are referred to, with a margin of 32 pixels around each.
    let side = |blocks: u32| u64::from(blocks) * 16 + 64;
    let blocks_down = set.pic_height_in_map_units_minus1 + 1;
    let picture = side(set.pic_width_in_mbs_minus1 + 1) * side(blocks_down) * 3 / 2;
    if set.max_num_ref_frames > 16 || picture * (u64::from(set.max_num_ref_frames) + 2) > MAX_MEMORY {
        return Err("pictures that take no more than 96 MiB");
    }
    Ok(set)
}

impl<'a> Nal<'a> {
    fn reader(&self) -> Result<RefNal<'a>, &'static str> {
        if self.bytes().is_empty() { Err("a NAL unit") } else { Ok(RefNal::new(self.bytes(), &[], true)) }
    }
}
