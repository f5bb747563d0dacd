//! What a picture says beside the picture: camera, place, previews. It goes before anything is
//! hashed, because what was published once cannot be called back.

/// Bytes of the TIFF header and one directory of one field: an orientation and nothing else.
const TIFF_HEAD: &[u8] = b"II*\0\x08\0\0\0\x01\0";
/// TIFF 6.0: the tag `Orientation`, and the type of one 16-bit number.
const ORIENTATION: u16 = 0x0112;
const SHORT: u16 = 3;
/// Nested far less often than this in any real file; a bound for hostile ones.
const SEGMENTS_MAX: usize = 100_000;

/// The same picture without what it says about its making; none when it cannot be read, because
/// then nothing could be removed.
pub(crate) fn jpeg(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut kept = bytes.get(..2).filter(|soi| *soi == b"\xFF\xD8")?.to_vec();
    let mut at = 2;
    let mut orientation = None;
    for _ in 0..SEGMENTS_MAX {
        let Some((marker, start)) = marker(bytes, at) else {
            // Cut off in the middle: browsers show what is there.
            return (kept.len() > 2).then_some(kept);
        };
        match marker {
            // What follows the end of the image is previews and films, with data of their own.
            0xD9 => {
                kept.extend_from_slice(b"\xFF\xD9");
                return Some(kept);
            }
            0x01 | 0xD0..=0xD7 => {
                kept.extend_from_slice(&[0xFF, marker]);
                at = start;
                continue;
            }
            _ => {}
        }
        let length = usize::from(u16::from_be_bytes([
            *bytes.get(start)?,
            *bytes.get(start + 1)?,
        ]));
        let segment = bytes.get(start + 2..start + length)?;
        at = start + length;
        if marker == 0xE1 {
            let found = segment.strip_prefix(b"Exif\0\0").and_then(orientation_of);
            if let (None, Some(turned)) = (orientation, found) {
                orientation = Some(turned);
                kept.extend_from_slice(&exif_of(turned));
            }
        }
        if keeps(marker, segment) {
            kept.extend_from_slice(&[0xFF, marker]);
            kept.extend_from_slice(&bytes[start..at]);
        }
        if marker == 0xDA {
            let end = scan_end(bytes, at);
            kept.extend_from_slice(&bytes[at..end]);
            at = end;
        }
    }
    None
}

/// The marker at or behind `at`, and where its segment begins (ITU T.81 section B.1.1).
fn marker(bytes: &[u8], mut at: usize) -> Option<(u8, usize)> {
    if *bytes.get(at)? != 0xFF {
        return None;
    }
    while *bytes.get(at)? == 0xFF {
        at += 1;
    }
    Some((bytes[at], at + 1))
}

/// Of the application segments, those that decide how the picture looks; of comments, none.
fn keeps(marker: u8, segment: &[u8]) -> bool {
    match marker {
        0xE0 => segment.starts_with(b"JFIF\0"),
        0xE2 => segment.starts_with(b"ICC_PROFILE\0"),
        0xEE => segment.starts_with(b"Adobe"),
        0xE1 | 0xE3..=0xEF | 0xFE => false,
        _ => true,
    }
}

/// Where the coded data that begin at `at` end: at the next marker that is not part of them.
fn scan_end(bytes: &[u8], mut at: usize) -> usize {
    while at + 1 < bytes.len() {
        if bytes[at] == 0xFF && !matches!(bytes[at + 1], 0x00 | 0xD0..=0xD7) {
            return at;
        }
        at += 1;
    }
    bytes.len()
}

/// The orientation that a TIFF directory gives, if it turns the picture.
fn orientation_of(tiff: &[u8]) -> Option<u16> {
    let little = match tiff.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let short = |at: usize| {
        let bytes: [u8; 2] = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        })
    };
    let long = |at: usize| {
        let bytes: [u8; 4] = tiff.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if little {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        })
    };
    let directory = usize::try_from(long(4)?).ok()?;
    for field in 0..usize::from(short(directory)?) {
        let at = directory.checked_add(2 + 12 * field)?;
        if short(at)? == ORIENTATION && short(at + 2)? == SHORT {
            return short(at + 8).filter(|turned| (2..=8).contains(turned));
        }
    }
    None
}

/// A segment that says nothing but how the picture is turned.
fn exif_of(turned: u16) -> Vec<u8> {
    let mut payload = b"Exif\0\0".to_vec();
    payload.extend_from_slice(TIFF_HEAD);
    payload.extend_from_slice(&ORIENTATION.to_le_bytes());
    payload.extend_from_slice(&SHORT.to_le_bytes());
    payload.extend_from_slice(&1_u32.to_le_bytes());
    payload.extend_from_slice(&u32::from(turned).to_le_bytes());
    payload.extend_from_slice(&0_u32.to_le_bytes());
    let length = u16::try_from(payload.len() + 2).unwrap_or(u16::MAX);
    let mut segment = vec![0xFF, 0xE1];
    segment.extend_from_slice(&length.to_be_bytes());
    segment.extend(payload);
    segment
}

/// The same picture without texts, times and EXIF (PNG section 11.3); none when it cannot be read.
pub(crate) fn png(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut kept = bytes
        .get(..8)
        .filter(|head| *head == b"\x89PNG\r\n\x1a\n")?
        .to_vec();
    let mut at = 8;
    while at < bytes.len() {
        let length = u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?);
        let kind = bytes.get(at + 4..at + 8)?;
        let end = at
            .checked_add(12)?
            .checked_add(usize::try_from(length).ok()?)?;
        let chunk = bytes.get(at..end)?;
        if !matches!(kind, b"eXIf" | b"tEXt" | b"zTXt" | b"iTXt" | b"tIME") {
            kept.extend_from_slice(chunk);
        }
        if kind == b"IEND" {
            return Some(kept);
        }
        at = end;
    }
    None
}

/// The same picture without EXIF and XMP (RFC 9649 section 2.7); none when it cannot be read.
pub(crate) fn webp(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    let mut at = 12;
    while at + 8 <= bytes.len() {
        let kind = bytes.get(at..at + 4)?;
        let length = u32::from_le_bytes(bytes.get(at + 4..at + 8)?.try_into().ok()?);
        let length = usize::try_from(length).ok()?;
        let end = at.checked_add(8)?.checked_add(length)?;
        let mut chunk = bytes.get(at..end)?.to_vec();
        chunk.resize(8 + length + length % 2, 0);
        if kind == b"VP8X" {
            // The flags that announce what is left out now.
            *chunk.get_mut(8)? &= !0b0000_1100;
        }
        if !matches!(kind, b"EXIF" | b"XMP ") {
            body.extend(chunk);
        }
        at = end + length % 2;
    }
    let size = u32::try_from(body.len() + 4).ok()?;
    let mut kept = b"RIFF".to_vec();
    kept.extend_from_slice(&size.to_le_bytes());
    kept.extend_from_slice(b"WEBP");
    kept.extend(body);
    Some(kept)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segment(marker: u8, payload: &[u8]) -> Vec<u8> {
        let mut segment = vec![0xFF, marker];
        let length = u16::try_from(payload.len() + 2).expect("short");
        segment.extend_from_slice(&length.to_be_bytes());
        segment.extend_from_slice(payload);
        segment
    }

    /// A JPEG's skeleton with everything that cameras add; turned as EXIF says it.
    pub(crate) fn photo(turned: u8) -> Vec<u8> {
        let exif = [
            b"Exif\0\0MM\0*\0\0\0\x08\0\x02\x01\x0f\0\x02\0\0\0\x04Nik\0".as_slice(),
            &[0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, turned, 0, 0, 0, 0, 0, 0],
            b"48.2N 16.3E",
        ]
        .concat();
        [
            b"\xFF\xD8".to_vec(),
            segment(0xE0, b"JFIF\0\x01\x02\0\0\x01\0\x01\0\0"),
            segment(0xE1, &exif),
            segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0secret"),
            segment(0xE2, b"ICC_PROFILE\0\x01\x01profile"),
            segment(0xE2, b"MPF\0secret"),
            segment(0xED, b"Photoshop 3.0\0secret"),
            segment(0xFE, b"secret comment"),
            segment(0xDB, &[0; 65]),
            segment(0xDA, &[1, 1, 0, 0, 63, 0]),
            b"coded\xFF\x00data\xFF\xD0more".to_vec(),
            segment(0xC4, &[0; 20]),
            segment(0xDA, &[1, 1, 0, 0, 63, 0]),
            b"second scan\xFF\xD9".to_vec(),
            b"a film with secret".to_vec(),
        ]
        .concat()
    }

    fn has(bytes: &[u8], part: &[u8]) -> bool {
        bytes.windows(part.len()).any(|window| window == part)
    }

    #[test]
    fn a_photo_keeps_its_picture_and_its_turn() {
        let kept = jpeg(&photo(6)).expect("read");
        for gone in [b"secret".as_slice(), b"48.2N", b"Nik", b"MPF", b"Photoshop"] {
            assert!(!has(&kept, gone), "{gone:?}");
        }
        for stays in [
            b"JFIF".as_slice(),
            b"ICC_PROFILE",
            b"coded\xFF\x00data",
            b"second scan",
        ] {
            assert!(has(&kept, stays), "{stays:?}");
        }
        assert!(kept.ends_with(b"\xFF\xD9"));
        let exif = kept
            .windows(6)
            .position(|w| w == b"Exif\0\0")
            .expect("an EXIF");
        assert_eq!(orientation_of(&kept[exif + 6..]), Some(6));
        assert_eq!(
            jpeg(&kept),
            Some(kept.clone()),
            "stripping twice changes nothing"
        );
        let upright = jpeg(&photo(1)).expect("read");
        assert!(!has(&upright, b"Exif"), "an upright picture needs no EXIF");
    }

    #[test]
    fn pngs_and_webps_lose_their_texts() {
        let chunk = |kind: &[u8], data: &[u8]| {
            let length = u32::try_from(data.len()).expect("short").to_be_bytes();
            [&length[..], kind, data, &[0; 4]].concat()
        };
        let head = b"\x89PNG\r\n\x1a\n".to_vec();
        let (ihdr, iend) = (chunk(b"IHDR", &[0; 13]), chunk(b"IEND", b""));
        let noise = [chunk(b"tEXt", b"secret"), chunk(b"eXIf", b"secret")].concat();
        let picture = [
            head.clone(),
            ihdr.clone(),
            noise,
            iend.clone(),
            b"secret".to_vec(),
        ];
        assert_eq!(
            png(&picture.concat()),
            Some([head.clone(), ihdr.clone(), iend].concat())
        );
        assert_eq!(png(&[head, ihdr].concat()), None, "cut off");

        let chunk = |kind: &[u8], data: &[u8]| {
            let length = u32::try_from(data.len()).expect("short").to_le_bytes();
            let pad = vec![0; data.len() % 2];
            [kind, &length[..], data, &pad].concat()
        };
        let chunks = [
            chunk(b"VP8X", &[0b0010_1100, 0, 0, 0, 1, 0, 0, 1, 0, 0]),
            chunk(b"VP8 ", b"abc"),
            chunk(b"EXIF", b"secret"),
            chunk(b"XMP ", b"secret"),
        ]
        .concat();
        let picture = [b"RIFF\0\0\0\0WEBP".to_vec(), chunks].concat();
        let kept = webp(&picture).expect("read");
        assert!(!has(&kept, b"secret") && has(&kept, b"abc"));
        assert_eq!(kept[20], 0b0010_0000);
    }

    proptest! {
        #[test]
        fn nothing_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0..3) {
            let head: &[u8] = [b"\xFF\xD8".as_slice(), b"\x89PNG\r\n\x1a\n", b"RIFF0000WEBP"][kind as usize];
            bytes.splice(0..0, head.iter().copied());
            jpeg(&bytes);
            png(&bytes);
            webp(&bytes);
            orientation_of(&bytes);
        }
    }
}
