//! JPEG (ITU T.81): the picture, its colors, and how it is turned.

use std::borrow::Cow;

/// Bytes of the TIFF header and one directory of one field: an orientation and nothing else.
const TIFF_HEAD: &[u8] = b"II*\0\x08\0\0\0\x01\0";
/// TIFF 6.0: the tag `Orientation`, and the type of one 16-bit number.
const ORIENTATION: u16 = 0x0112;
const SHORT: u16 = 3;
/// JFIF 1.02: up to the size of the preview, which is the last that every file has.
const JFIF_BYTES: usize = 14;
/// TN 5116: up to the color transform, which decides how the picture looks.
const ADOBE_BYTES: usize = 12;
/// Nested far less often than this in any real file; a bound for hostile ones.
const SEGMENTS_MAX: usize = 100_000;

/// The same picture without what it says about its making; none when it cannot be read, because
/// then nothing could be removed.
pub(super) fn jpeg(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut kept = bytes.get(..2).filter(|soi| *soi == b"\xFF\xD8")?.to_vec();
    let mut at = 2;
    let mut orientation = None;
    let mut scans = 0;
    for _ in 0..SEGMENTS_MAX {
        let Some((marker, start)) = marker(bytes, at) else {
            // Cut off in the middle: browsers show what is there.
            return (scans > 0).then_some(kept);
        };
        match marker {
            // What follows the end of the image is previews and films, with data of their own.
            0xD9 => {
                kept.extend_from_slice(b"\xFF\xD9");
                return (scans > 0).then_some(kept);
            }
            // Alone, they say nothing outside a scan.
            0x01 | 0xD0..=0xD7 => {
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
                kept.extend(exif_of(turned));
            }
        }
        if let Some(payload) = kept_of(marker, segment) {
            kept.extend(segment_of(marker, &payload));
        }
        if marker == 0xDA {
            scans += 1;
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

/// What stays of a segment; none when nothing does.
///
/// Of the application segments, those that decide how the picture looks; of comments and of
/// markers that the standard only reserves, none.
fn kept_of(marker: u8, segment: &[u8]) -> Option<Cow<'_, [u8]>> {
    match marker {
        0xE0 => {
            let mut jfif = segment.get(..JFIF_BYTES)?.to_vec();
            // The preview that may follow has no size any more.
            jfif[JFIF_BYTES - 2..].fill(0);
            jfif.starts_with(b"JFIF\0").then_some(Cow::Owned(jfif))
        }
        0xE2 => segment
            .starts_with(b"ICC_PROFILE\0")
            .then_some(Cow::Borrowed(segment)),
        0xEE => segment
            .get(..ADOBE_BYTES)
            .filter(|adobe| adobe.starts_with(b"Adobe"))
            .map(Cow::Borrowed),
        // Frames, tables and scans; 0xC8 is reserved.
        0xC0..=0xC7 | 0xC9..=0xCF | 0xDA..=0xDF => Some(Cow::Borrowed(segment)),
        _ => None,
    }
}

fn segment_of(marker: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 2).unwrap_or(u16::MAX);
    let mut segment = vec![0xFF, marker];
    segment.extend_from_slice(&length.to_be_bytes());
    segment.extend_from_slice(payload);
    segment
}

/// Where the coded data that begin at `at` end: at the next marker that is not part of them.
fn scan_end(bytes: &[u8], mut at: usize) -> usize {
    while at + 1 < bytes.len() {
        if bytes[at] == 0xFF && !matches!(bytes[at + 1], 0x00 | 0xD0..=0xD7 | 0xFF) {
            return at;
        }
        at += 1;
    }
    bytes.len()
}

/// The orientation that a TIFF directory gives, if it turns the picture.
pub(super) fn orientation_of(tiff: &[u8]) -> Option<u16> {
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
    segment_of(0xE1, &payload)
}
