//! WebP: the picture, its frames and its colors (RFC 9649 section 2.7).

/// The flags of `VP8X` that announce EXIF and XMP.
const NOTED: u8 = 0b0000_1100;
const VP8X_BYTES: usize = 10;
/// What a frame says before its own chunks: place, size, duration.
const FRAME_HEAD_BYTES: usize = 16;

/// The same picture; none when it cannot be read.
pub(super) fn webp(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.get(..4)? != b"RIFF" || bytes.get(8..12)? != b"WEBP" {
        return None;
    }
    let size = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?);
    let end = usize::try_from(size).ok()?.checked_add(8)?;
    let mut body = Vec::new();
    let mut pictures = 0;
    // What follows the end that the file itself gives is no picture.
    for (kind, data) in chunks(bytes.get(12..end)?)? {
        match kind {
            b"VP8 " | b"VP8L" => put(&mut body, kind, data)?,
            b"ALPH" | b"ANIM" | b"ICCP" => {
                put(&mut body, kind, data)?;
                continue;
            }
            b"VP8X" => {
                let mut flags = data.get(..VP8X_BYTES)?.to_vec();
                flags[0] &= !NOTED;
                put(&mut body, kind, &flags)?;
                continue;
            }
            b"ANMF" => put(&mut body, kind, &frame(data)?)?,
            _ => continue,
        }
        pictures += 1;
    }
    if pictures == 0 {
        return None;
    }
    let size = u32::try_from(body.len() + 4).ok()?;
    Some([b"RIFF", &size.to_le_bytes()[..], b"WEBP", &body].concat())
}

/// A frame of an animation, which may carry unknown chunks of its own.
fn frame(data: &[u8]) -> Option<Vec<u8>> {
    let mut frame = data.get(..FRAME_HEAD_BYTES)?.to_vec();
    for (kind, data) in chunks(&data[FRAME_HEAD_BYTES..])? {
        if matches!(kind, b"ALPH" | b"VP8 " | b"VP8L") {
            put(&mut frame, kind, data)?;
        }
    }
    Some(frame)
}

type Chunk<'a> = (&'a [u8; 4], &'a [u8]);

fn chunks(mut rest: &[u8]) -> Option<Vec<Chunk<'_>>> {
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let (kind, behind) = rest.split_first_chunk::<4>()?;
        let (length, behind) = behind.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        chunks.push((kind, behind.get(..length)?));
        // Some programs leave out the last byte that makes the length even.
        rest = behind.get(length + length % 2..).unwrap_or_default();
    }
    Some(chunks)
}

fn put(to: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) -> Option<()> {
    to.extend_from_slice(kind);
    to.extend_from_slice(&u32::try_from(data.len()).ok()?.to_le_bytes());
    to.extend_from_slice(data);
    if data.len() % 2 == 1 {
        to.push(0);
    }
    Some(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::author::strip::tests::has;

    fn picture(flags: u8, frames: &[Chunk<'_>], noise: &[Chunk<'_>]) -> Vec<u8> {
        let mut frame = [7; FRAME_HEAD_BYTES].to_vec();
        for (kind, data) in frames {
            put(&mut frame, kind, data).expect("short");
        }
        let mut body = Vec::new();
        let head: [Chunk<'_>; 3] = [
            (b"VP8X", &[flags, 0, 0, 0, 1, 0, 0, 1, 0, 0]),
            (b"VP8 ", b"abc"),
            (b"ANMF", &frame),
        ];
        for (kind, data) in head.iter().chain(noise) {
            put(&mut body, kind, data).expect("short");
        }
        let size = u32::try_from(body.len() + 4).expect("short");
        [b"RIFF", &size.to_le_bytes()[..], b"WEBP", &body].concat()
    }

    pub(in crate::author::strip) fn made() -> Vec<u8> {
        let mut noisy = picture(
            0b0010_1110,
            &[(b"VP8L", b"pixels"), (b"JUNK", b"secret")],
            &[
                (b"EXIF", b"secret"),
                (b"XMP ", b"secret"),
                (b"C2PA", b"secret!"),
            ],
        );
        noisy.extend_from_slice(b"VP8 \x06\0\0\0secret");
        noisy
    }

    #[test]
    fn a_webp_keeps_its_picture_and_its_frames_alone() {
        let kept = webp(&made()).expect("read");
        assert!(!has(&kept, b"secret"));
        assert_eq!(kept, picture(0b0010_0010, &[(b"VP8L", b"pixels")], &[]));
        assert_eq!(webp(&kept), Some(kept.clone()), "twice changes nothing");
        assert_eq!(webp(&kept[..kept.len() - 9]), None, "cut off");
        assert_eq!(webp(b"RIFF\x04\0\0\0WEBP"), None, "no picture");
    }
}
