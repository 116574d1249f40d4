//! Decodes an Annex-B H.264 stream to Y4M.
//!
//!     h264_to_y4m IN.h264 OUT.y4m [FPS]
#![allow(clippy::print_stdout, reason = "a program for the command line")]

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};

use kring_codec::h264::access_units;
use kring_codec::{Decoded, H264, Picture, VideoCodec};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (input, output, rate) = match &arguments[..] {
        [input, output] => (input, output, 30),
        [input, output, rate] => (input, output, rate.parse()?),
        _ => return Err("usage: h264_to_y4m IN.h264 OUT.y4m [FPS]".into()),
    };
    let stream = std::fs::read(input)?;
    let mut output = BufWriter::new(File::create(output)?);
    let mut decoder = H264.decoder()?;
    let mut picture = Picture::new(16, 16)?;
    let mut size = None;
    let (mut shown, mut refused) = (0u32, 0u32);
    for unit in access_units(&stream) {
        match decoder.decode(unit, &mut picture) {
            Ok(Decoded::Picture) => {}
            Ok(Decoded::Nothing) => continue,
            Err(_) => {
                refused += 1;
                continue;
            }
        }
        let (width, height) = *size.get_or_insert((picture.width(), picture.height()));
        if shown == 0 {
            writeln!(output, "YUV4MPEG2 W{width} H{height} F{rate}:1 Ip A1:1 C420mpeg2")?;
        }
        let mut scaled = Picture::new(width, height)?;
        picture.scale_into(&mut scaled);
        output.write_all(b"FRAME\n")?;
        output.write_all(scaled.as_bytes())?;
        shown += 1;
    }
    output.flush()?;
    println!("{shown} pictures written, {refused} packets refused");
    Ok(())
}
