//! GIF (GIF89a): the pictures, how long each is shown, and how often.

use std::ops::Range;

const TRAILER: u8 = 0x3B;
/// Introducer, label, length, and the name of the program.
const APPLICATION_BYTES: usize = 14;

/// The same picture; none when it cannot be read.
pub(super) fn gif(bytes: &[u8]) -> Option<Vec<u8>> {
    let screen = bytes.get(..13)?;
    if !matches!(&screen[..6], b"GIF87a" | b"GIF89a") {
        return None;
    }
    let mut at = 13 + table_bytes(screen[10]);
    let mut kept = bytes.get(..at)?.to_vec();
    // How long the next picture is shown; a text that is left out takes its own along.
    let mut control = None;
    // Some programs forget the trailer.
    while let Some(block) = bytes.get(at).filter(|block| **block != TRAILER) {
        if *block == 0x2C {
            let head = bytes.get(at..at + 10)?;
            // The table, and one byte that says how long the codes are.
            let data = at + 11 + table_bytes(head[9]);
            let end = blocks_end(bytes, data)?;
            kept.extend_from_slice(control.take().unwrap_or_default());
            kept.extend_from_slice(&bytes[at..end]);
            at = end;
            continue;
        }
        if *block != 0x21 {
            return None;
        }
        let label = *bytes.get(at + 1)?;
        let end = blocks_end(bytes, at + 2)?;
        let extension = &bytes[at..end];
        match label {
            0xF9 if extension.len() == 8 => control = Some(extension),
            0x01 => control = None,
            0xFF => kept.extend(repeats(extension).unwrap_or_default()),
            _ => {}
        }
        at = end;
    }
    kept.push(TRAILER);
    Some(kept)
}

/// Of what programs write for themselves, how often the pictures are repeated.
fn repeats(extension: &[u8]) -> Option<Vec<u8>> {
    let (head, blocks) = extension.split_at_checked(APPLICATION_BYTES)?;
    if !matches!(&head[2..], b"\x0bNETSCAPE2.0" | b"\x0bANIMEXTS1.0") {
        return None;
    }
    let count = blocks.get(..4).filter(|b| b.starts_with(b"\x03\x01"))?;
    Some([head, count, b"\0"].concat())
}

fn table_bytes(flags: u8) -> usize {
    if flags & 0x80 == 0 {
        return 0;
    }
    3 << ((flags & 7) + 1)
}

/// Where a row of blocks ends, behind the empty one.
fn blocks_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut block: Range<usize> = at..at;
    loop {
        let length = usize::from(*bytes.get(block.end)?);
        block = block.end + 1..block.end + 1 + length;
        if length == 0 {
            return Some(block.end);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::author::strip::tests::has;

    const SCREEN: &[u8] = b"GIF89a\x25\0\x15\0\x80\0\0rgbRGB";
    const CONTROL: &[u8] = b"\x21\xF9\x04\0\x0a\0\0\0";
    const IMAGE: &[u8] = b"\x2C\0\0\0\0\x25\0\x15\0\x81twelve bytes\x02\x03abc\x02de\0";
    const LOOP: &[u8] = b"\x21\xFF\x0bNETSCAPE2.0\x03\x01\x05\0\0";

    pub(in crate::author::strip) fn made() -> Vec<u8> {
        // `<` is the length of a block that ends in the ramp behind, as in every such file.
        let xmp = [
            b"\x21\xFF\x0bXMP DataXMP<secret/>\x01".to_vec(),
            (0..=0xFF).rev().collect(),
            b"\0".to_vec(),
        ]
        .concat();
        [
            SCREEN,
            &xmp,
            b"\x21\xFF\x0bNETSCAPE2.0\x03\x01\x05\0\x06secret\0",
            b"\x21\xFF\x0bSECRETS 1.0\x06secret\0",
            b"\x21\xFE\x06secret\0",
            b"\x21\x77\x06secret\0",
            CONTROL,
            IMAGE,
            CONTROL,
            b"\x21\x01\x0c\0\0\0\0\0\0\0\0\0\0\0\0\x06secret\0",
            IMAGE,
            b";secret<script>",
        ]
        .concat()
    }

    #[test]
    fn a_gif_keeps_its_pictures_and_how_they_move() {
        let clean = [SCREEN, LOOP, CONTROL, IMAGE, IMAGE, b";"].concat();
        let kept = gif(&made()).expect("read");
        assert!(!has(&kept, b"secret"));
        assert_eq!(kept, clean);
        assert_eq!(gif(&clean), Some(clean.clone()), "twice changes nothing");
        assert_eq!(gif(&clean[..clean.len() - 1]), Some(clean.clone()));
        assert_eq!(gif(&clean[..clean.len() - 3]), None, "cut off");
    }
}
