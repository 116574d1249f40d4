//! Y4M files: pictures of one size, 8 bits, chroma 4:2:0, read one by one wherever they lie in the file.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

const MARK: &[u8] = b"FRAME\n";

/// One picture: a plane of luma, then two of chroma at half the width and height.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) data: Vec<u8>,
}

impl Picture {
    pub(crate) fn luma(&self) -> &[u8] {
        &self.data[..self.width * self.height]
    }
}

/// An open file.
#[derive(Debug)]
pub(crate) struct Y4m {
    path: PathBuf,
    file: BufReader<File>,
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Whole pictures in the file.
    pub(crate) count: u64,
    first: u64,
}

impl Y4m {
    /// Opens a file and reads its header.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let bad = |what: String| format!("expected a Y4M file at {}: {what}", path.display());
        let file = File::open(path).map_err(|e| bad(e.to_string()))?;
        let bytes = file.metadata().map_err(|e| bad(e.to_string()))?.len();
        let mut file = BufReader::new(file);
        let mut header = Vec::new();
        file.by_ref().take(1024).read_until(b'\n', &mut header).map_err(|e| bad(e.to_string()))?;
        let (width, height) = size_in(&header).map_err(bad)?;
        let first = header.len() as u64;
        let mut y4m = Self { path: path.into(), file, width, height, count: 0, first };
        y4m.count = bytes.saturating_sub(first) / y4m.stride();
        Ok(y4m)
    }

    fn picture_bytes(&self) -> usize {
        self.width * self.height + 2 * self.width.div_ceil(2) * self.height.div_ceil(2)
    }

    fn stride(&self) -> u64 {
        (MARK.len() + self.picture_bytes()) as u64
    }

    /// The `i`-th picture.
    pub(crate) fn picture(&mut self, i: u64) -> Result<Picture, String> {
        let data = self.read(i, self.picture_bytes())?;
        Ok(Picture { width: self.width, height: self.height, data })
    }

    /// The uppermost rows of the `i`-th picture's luma.
    pub(crate) fn top_rows(&mut self, i: u64, rows: usize) -> Result<Vec<u8>, String> {
        self.read(i, self.width * rows.min(self.height))
    }

    fn read(&mut self, i: u64, bytes: usize) -> Result<Vec<u8>, String> {
        let place = format!("picture {i} of {}", self.path.display());
        if i >= self.count {
            return Err(format!("expected {place}, but there are only {}", self.count));
        }
        let mut data = vec![0; MARK.len() + bytes];
        let at = SeekFrom::Start(self.first + i * self.stride());
        self.file
            .seek(at)
            .and_then(|_| self.file.read_exact(&mut data))
            .map_err(|e| format!("{place}: {e}"))?;
        if !data.starts_with(MARK) {
            return Err(format!(
                "expected FRAME before {place}, got {:?}",
                data[..MARK.len()].escape_ascii()
            ));
        }
        Ok(data.split_off(MARK.len()))
    }
}

fn size_in(header: &[u8]) -> Result<(usize, usize), String> {
    let header = String::from_utf8_lossy(header);
    let mut words = header.split_whitespace();
    if words.next() != Some("YUV4MPEG2") {
        return Err("its first word is not YUV4MPEG2".into());
    }
    let (mut width, mut height) = (0, 0);
    for word in words {
        let (key, value) = word.split_at_checked(1).unwrap_or((word, ""));
        match key {
            "W" => width = value.parse().unwrap_or(0),
            "H" => height = value.parse().unwrap_or(0),
            "C" if !["420", "420jpeg", "420mpeg2", "420paldv"].contains(&value) => {
                return Err(format!("its pictures are C{value}, and only C420 with 8 bits is measured"));
            }
            _ => {}
        }
    }
    if width == 0 || height == 0 || width > 16_384 || height > 16_384 {
        return Err(format!("its header names no size up to 16384x16384: {:?}", header.trim_end()));
    }
    Ok((width, height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_gives_the_size_and_other_chroma_is_refused() {
        assert_eq!(size_in(b"YUV4MPEG2 W640 H360 F30:1 Ip A1:1 C420jpeg XYSCSS=420JPEG\n"), Ok((640, 360)));
        assert_eq!(size_in(b"YUV4MPEG2 H2 W4\n"), Ok((4, 2)));
        assert!(size_in(b"YUV4MPEG2 W4 H2 C444\n").is_err_and(|e| e.contains("C444")));
        assert!(size_in(b"YUV4MPEG2 W4\n").is_err());
        assert!(size_in(b"RIFF").is_err());
    }
}
