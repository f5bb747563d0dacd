//! PNG: the chunks that decide how the picture looks (PNG section 11).

use flate2::Crc;

const HEAD: &[u8] = b"\x89PNG\r\n\x1a\n";
/// The chunks that stay, and the most bytes that each has by the standard: a longer one carries
/// something else along.
const KEPT: [(&[u8; 4], usize); 17] = [
    (b"IHDR", 13),
    (b"PLTE", 768),
    (b"IDAT", usize::MAX),
    (b"gAMA", 4),
    (b"cHRM", 32),
    (b"sRGB", 1),
    (b"iCCP", usize::MAX),
    (b"sBIT", 4),
    (b"tRNS", 256),
    (b"pHYs", 9),
    (b"bKGD", 6),
    (b"cICP", 4),
    (b"acTL", 8),
    (b"fcTL", 26),
    (b"fdAT", usize::MAX),
    (b"mDCV", 24),
    (b"cLLI", 8),
];

/// The same picture; none when it cannot be read.
pub(super) fn png(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut kept = bytes
        .get(..HEAD.len())
        .filter(|head| *head == HEAD)?
        .to_vec();
    let mut at = HEAD.len();
    while at < bytes.len() {
        let length = u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?);
        let kind: [u8; 4] = bytes.get(at + 4..at + 8)?.try_into().ok()?;
        let end = at
            .checked_add(12)?
            .checked_add(usize::try_from(length).ok()?)?;
        let chunk = bytes.get(at..end)?;
        let data = &chunk[8..chunk.len() - 4];
        at = end;
        if &kind == b"IEND" {
            // What follows, and what it carries itself, is no picture.
            kept.extend(chunk_of(b"IEND", b""));
            return Some(kept);
        }
        let known = KEPT.iter().find(|(name, _)| **name == kind);
        match known {
            Some((_, most)) if data.len() > *most => {}
            Some((b"iCCP", _)) => kept.extend(profile(data)),
            Some(_) => kept.extend_from_slice(chunk),
            // Without a chunk that is not ancillary, the picture would be another.
            None if kind[0].is_ascii_uppercase() => return None,
            None => {}
        }
    }
    None
}

/// A color profile under a name that says nothing; programs write names of persons there.
fn profile(data: &[u8]) -> Vec<u8> {
    let Some(name) = data.iter().position(|byte| *byte == 0) else {
        return Vec::new();
    };
    chunk_of(b"iCCP", &[b"icc", &data[name..]].concat())
}

fn chunk_of(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(kind);
    crc.update(data);
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&length[..], kind, data, &crc.sum().to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::author::strip::tests::has;

    #[test]
    fn a_png_keeps_its_picture_alone() {
        let picture = |noise: &[u8], behind: &[u8], name: &[u8]| {
            [
                HEAD.to_vec(),
                chunk_of(b"IHDR", &[0; 13]),
                chunk_of(b"iCCP", &[name, b"\0\0profile"].concat()),
                noise.to_vec(),
                chunk_of(b"acTL", &[0; 8]),
                chunk_of(b"IDAT", b"pixels"),
                chunk_of(b"fdAT", b"second"),
                chunk_of(b"IEND", behind),
                behind.to_vec(),
            ]
            .concat()
        };
        let kinds = [
            b"tEXt", b"zTXt", b"iTXt", b"tIME", b"eXIf", b"exIf", b"zxIf", b"caBX", b"prVW",
            b"gIFx", b"sPLT", b"iDOT", b"orNT", b"vpAg",
        ];
        let noise: Vec<u8> = kinds
            .iter()
            .flat_map(|kind| chunk_of(kind, b"secret"))
            .chain(chunk_of(b"gAMA", b"\0\0\0\0secret"))
            .collect();
        let kept = png(&picture(&noise, b"secret", b"Mary's secret")).expect("read");
        assert!(!has(&kept, b"secret"));
        assert_eq!(kept, picture(b"", b"", b"icc"));
        assert_eq!(png(&kept), Some(kept.clone()), "twice changes nothing");
    }

    #[test]
    fn a_png_that_is_cut_off_or_of_another_kind_is_refused() {
        let picture = [HEAD.to_vec(), chunk_of(b"IHDR", &[0; 13])].concat();
        assert_eq!(png(&picture), None, "cut off");
        let unknown = [picture, chunk_of(b"CgBI", b""), chunk_of(b"IEND", b"")].concat();
        assert_eq!(png(&unknown), None, "a critical chunk that nobody knows");
    }
}
