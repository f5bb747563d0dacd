//! How large a picture is shown, read from its own first bytes.
//!
//! With its size in the page nothing moves when the picture arrives. What cannot be read has no size;
//! nothing here can fail otherwise, whatever the bytes are.

use std::num::NonZeroU32;

/// Larger numbers are no picture but an attempt at somebody's layout.
const SIDE_MAX: u32 = 100_000;
/// An SVG says its size in its first tag. More of it is not looked at.
const SVG_HEAD_BYTES_MAX: usize = 16 * 1024;
/// Boxes of an AVIF within each other and beside each other; real ones have a dozen.
const BOXES_MAX: usize = 256;
/// JPEG's tags for the turn of a picture (EXIF 2.32 section 4.6.4).
const ORIENTATION: u16 = 0x0112;

/// Width and height in pixels, as a browser shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Never zero.
    pub width: NonZeroU32,
    /// Never zero.
    pub height: NonZeroU32,
}

impl Size {
    fn new(width: u32, height: u32) -> Option<Self> {
        if width.max(height) > SIDE_MAX {
            return None;
        }
        let (width, height) = (NonZeroU32::new(width)?, NonZeroU32::new(height)?);
        Some(Self { width, height })
    }

    fn turned(self) -> Self {
        Self {
            width: self.height,
            height: self.width,
        }
    }
}

/// The size of a picture of any kind that pages show.
#[must_use]
pub fn of_picture(bytes: &[u8]) -> Option<Size> {
    match crate::blobs::sniff(bytes)? {
        "image/png" => Size::new(big(bytes, 16)?, big(bytes, 20)?),
        "image/gif" => Size::new(little16(bytes, 6)?, little16(bytes, 8)?),
        "image/jpeg" => of_jpeg(bytes),
        "image/webp" => of_webp(bytes),
        "image/avif" => of_avif(bytes),
        "image/svg+xml" => of_svg(bytes),
        _ => None,
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn big(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

fn big16(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(|two| u32::from(u16::from_be_bytes(two)))
}

fn little(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn little16(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(|two| u32::from(u16::from_le_bytes(two)))
}

/// From marker to marker to the frame (ITU T.81 section B.2.2), seeing how EXIF turns it.
fn of_jpeg(bytes: &[u8]) -> Option<Size> {
    let mut turned = false;
    let mut at = 2;
    loop {
        let [0xFF, marker] = array(bytes, at)? else {
            return None;
        };
        match marker {
            // Fill, and markers without a segment.
            0xFF => {
                at += 1;
                continue;
            }
            0x01 | 0xD0..=0xD8 => {
                at += 2;
                continue;
            }
            // The frame: lossy or not, in one pass or many.
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                let size = Size::new(big16(bytes, at + 7)?, big16(bytes, at + 5)?)?;
                return Some(if turned { size.turned() } else { size });
            }
            0xD9 | 0xDA => return None,
            _ => {}
        }
        let length = usize::try_from(big16(bytes, at + 2)?).ok()?;
        let end = at.checked_add(2)?.checked_add(length.max(2))?;
        if marker == 0xE1
            && let Some(tiff) = bytes
                .get(at + 4..end)
                .and_then(|s| s.strip_prefix(b"Exif\0\0"))
        {
            turned |= lies_on_its_side(tiff) == Some(true);
        }
        at = end;
    }
}

/// Whether a TIFF directory says that width and height change places.
fn lies_on_its_side(tiff: &[u8]) -> Option<bool> {
    let is_little = match tiff.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let short = if is_little { little16 } else { big16 };
    let long = if is_little { little } else { big };
    let directory = usize::try_from(long(tiff, 4)?).ok()?;
    for field in 0..usize::try_from(short(tiff, directory)?).ok()? {
        let at = directory.checked_add(2 + 12 * field)?;
        if short(tiff, at)? == u32::from(ORIENTATION) {
            return Some((5..=8).contains(&short(tiff, at + 8)?));
        }
    }
    None
}

/// The canvas, or the one picture in it (RFC 9649 sections 2.5 to 2.7).
fn of_webp(bytes: &[u8]) -> Option<Size> {
    match bytes.get(12..16)? {
        b"VP8X" => {
            let side = |at| little(bytes, at).map(|three| (three & 0xFF_FFFF) + 1);
            Size::new(side(24)?, side(27)?)
        }
        b"VP8L" => {
            let bits = little(bytes, 21)?;
            Size::new((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
        }
        b"VP8 " => Size::new(little16(bytes, 26)? & 0x3FFF, little16(bytes, 28)? & 0x3FFF),
        _ => None,
    }
}

/// The largest of the picture's extents, turned if it says so (ISO/IEC 23008-12 section 6.5).
fn of_avif(bytes: &[u8]) -> Option<Size> {
    let mut seen = (None, false);
    let mut left = BOXES_MAX;
    avif_boxes(bytes, &mut left, &mut seen)?;
    let (size, turned) = seen;
    size.map(|size: Size| if turned { size.turned() } else { size })
}

fn avif_boxes(mut bytes: &[u8], left: &mut usize, seen: &mut (Option<Size>, bool)) -> Option<()> {
    while bytes.len() >= 8 {
        *left = left.checked_sub(1)?;
        let length = usize::try_from(big(bytes, 0)?).ok()?;
        // A length of 1 means a longer number, of 0 the rest: only where the coded picture is.
        let Some(content) = bytes.get(8..length) else {
            return Some(());
        };
        match &bytes[4..8] {
            b"meta" => avif_boxes(content.get(4..)?, left, seen)?,
            b"iprp" | b"ipco" => avif_boxes(content, left, seen)?,
            b"ispe" => {
                let size = Size::new(big(content, 4)?, big(content, 8)?)?;
                let area = |s: Size| u64::from(s.width.get()) * u64::from(s.height.get());
                seen.0 = Some(seen.0.filter(|s| area(*s) >= area(size)).unwrap_or(size));
            }
            b"irot" => seen.1 = content.first()? % 2 == 1,
            _ => {}
        }
        bytes = &bytes[length..];
    }
    Some(())
}

/// `width` and `height` where they are lengths, else the `viewBox` (SVG 2 section 8.12).
fn of_svg(bytes: &[u8]) -> Option<Size> {
    let head = &bytes[..bytes.len().min(SVG_HEAD_BYTES_MAX)];
    let text = String::from_utf8_lossy(head);
    let (_, behind) = text.split_once("<svg")?;
    let (tag, _) = behind.split_once('>')?;
    let value = |name: &str| -> Option<&str> {
        let mut rest = tag;
        loop {
            let (before, behind) = rest.split_once(name)?;
            let value = behind.trim_start().strip_prefix('=').map(str::trim_start);
            if let Some(value) = value
                && before.ends_with(|letter: char| letter.is_ascii_whitespace())
            {
                let quote = value.chars().next().filter(|q| "\"'".contains(*q))?;
                return value[1..].split(quote).next();
            }
            rest = behind;
        }
    };
    let length = |name| value(name).and_then(svg_length);
    if let (Some(width), Some(height)) = (length("width"), length("height")) {
        return svg_size(width, height);
    }
    let view: Vec<f64> = value("viewBox")?
        .split([' ', ',', '\t', '\n', '\r'])
        .filter(|part| !part.is_empty())
        .map_while(|part| part.parse().ok())
        .take(4)
        .collect();
    match view[..] {
        [_, _, width, height] => svg_size(width, height),
        _ => None,
    }
}

/// A length in pixels; none for what depends on the page, such as `100%`.
fn svg_length(text: &str) -> Option<f64> {
    let text = text.trim();
    let end = text.find(|l: char| !(l.is_ascii_digit() || ".+-".contains(l)));
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let pixels = match unit {
        "" | "px" => 1.0,
        "pt" => 96.0 / 72.0,
        "in" => 96.0,
        "cm" => 96.0 / 2.54,
        "mm" => 96.0 / 25.4,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|number| number * pixels)
}

fn svg_size(width: f64, height: f64) -> Option<Size> {
    let whole = |side: f64| {
        let rounded = side.round();
        // Casting keeps the number: it is between the two.
        (1.0..=f64::from(SIDE_MAX))
            .contains(&rounded)
            .then_some(rounded as u32)
    };
    Size::new(whole(width)?, whole(height)?)
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
    use proptest::prelude::*;

    use super::*;

    /// Beginnings of pictures of 37 by 21 pixels, as cwebp, webpmux, cjpeg and avifenc made them.
    const MADE: [(&str, &str); 7] = [
        ("lossy.webp", "UklGRqYAAABXRUJQVlA4IJoAAADwBACdASolABUAPnk="),
        (
            "lossless.webp",
            "UklGRjoAAABXRUJQVlA4TC0AAAAvJAAFAAmAIAb8L1s=",
        ),
        ("ext.webp", "UklGRsYAAABXRUJQVlA4WAoAAAAgAAAAJAAAFAAASUM="),
        (
            "base.jpg",
            "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIsIxwcKDcpLDAxNDQ0Hyc5PTgyPC4zNDL/2wBDAQkJCQwLDBgNDRgyIRwhMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjL/wAARCAAVACUDASIAAhEBAxEB/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAAAAAAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAECAxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl8RcYGRomJygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPExcbHyMnK0tPU1dbX2Nna4uPk5ebn6Onq8vP09fb3+Pn6",
        ),
        (
            "prog.jpg",
            "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIsIxwcKDcpLDAxNDQ0Hyc5PTgyPC4zNDL/2wBDAQkJCQwLDBgNDRgyIRwhMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjL/wgARCAAVACUDASIAAhEBAxEB/8QAGAABAQEBAQAAAAAAAAAAAAAAAAQFAwb/xAAXAQADAQAAAAAAAAAAAAAAAAADBAUH",
        ),
        (
            "a.avif",
            "AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUEAAADybWV0YQAAAAAAAAAoaGRscgAAAAAAAAAAcGljdAAAAAAAAAAAAAAAAGxpYmF2aWYAAAAADnBpdG0AAAAAAAEAAAAeaWxvYwAAAABEAAABAAEAAAABAAABGgAAAFIAAAAoaWluZgAAAAAAAQAAABppbmZlAgAAAAABAABhdjAxQ29sb3IAAAAAamlwcnAAAABLaXBjbwAAABRpc3BlAAAAAAAAACUAAAAVAAAAEHBpeGkAAAAAAwgICAAAAAxhdjFDgSAAAAAAABNjb2xybmNseAABAA0ABoAAAAAXaXBtYQAAAAAAAAABAAEEAQKDBAAAAFptZGF0EgAKCQ==",
        ),
        (
            "r.avif",
            "AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUEAAAD8bWV0YQAAAAAAAAAoaGRscgAAAAAAAAAAcGljdAAAAAAAAAAAAAAAAGxpYmF2aWYAAAAADnBpdG0AAAAAAAEAAAAeaWxvYwAAAABEAAABAAEAAAABAAABJAAAAFIAAAAoaWluZgAAAAAAAQAAABppbmZlAgAAAAABAABhdjAxQ29sb3IAAAAAdGlwcnAAAABUaXBjbwAAABRpc3BlAAAAAAAAACUAAAAVAAAAEHBpeGkAAAAAAwgICAAAAAxhdjFDgSAAAAAAABNjb2xybmNseAABAA0ABoAAAAAJaXJvdAEAAAAYaXBtYQAAAAAAAAABAAEFAQKDBIUAAABabWRhdBIACgk=",
        ),
    ];

    fn check(bytes: &[u8], size: Option<(u32, u32)>) {
        let found = of_picture(bytes).map(|size| (size.width.get(), size.height.get()));
        assert_eq!(found, size, "{:?}", String::from_utf8_lossy(bytes));
    }

    #[test]
    fn pictures_say_how_large_they_are() {
        for (name, begin) in MADE {
            let bytes = BASE64.decode(begin).unwrap();
            let size = if name.starts_with('r') {
                (21, 37)
            } else {
                (37, 21)
            };
            check(&bytes, Some(size));
            for end in 0..bytes.len() {
                let _size = of_picture(&bytes[..end]);
            }
        }
        check(
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x25\0\0\0\x15\x08",
            Some((37, 21)),
        );
        check(b"GIF89a\x25\0\x15\0", Some((37, 21)));
    }

    #[test]
    fn a_turned_photo_is_as_wide_as_it_is_shown() {
        let jpeg = BASE64.decode(MADE[3].1).unwrap();
        for (turn, size) in [(1, (37, 21)), (3, (37, 21)), (6, (21, 37)), (8, (21, 37))] {
            let exif = b"\xFF\xE1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0";
            let behind = [turn, 0, 0, 0, 0, 0, 0];
            let photo = [&jpeg[..2], exif, &behind, &jpeg[2..]].concat();
            check(&photo, Some(size));
        }
    }

    #[test]
    fn an_svg_has_the_size_that_it_says() {
        check(b"<svg width='30' height=\"20px\">", Some((30, 20)));
        check(
            b"<?xml version='1.0'?>\n<svg stroke-width='3' viewBox='0 0 3e1 20.4'>",
            Some((30, 20)),
        );
        check(
            b"<svg width='100%' height='100%' viewBox='-1,-1,30,20'>",
            Some((30, 20)),
        );
        check(b"<svg width='1in' height='72pt'>", Some((96, 96)));
        for none in [
            "<svg>",
            "<svg width='30'>",
            "<svg width='30' height='NaN'>",
            "<svg width='1e99' height='20'>",
            "<svg width='-3' height='20'>",
            "<svg viewBox='0 0 0 0'>",
            "<svg viewBox='0 0 inf 10'>",
            "<svg width=30 height=20>",
            "<svg width='100001' height='1'>",
        ] {
            check(none.as_bytes(), None);
        }
    }

    #[test]
    fn what_is_no_picture_has_no_size() {
        check(b"", None);
        check(b"\xFF\xD8\xFF\xDA\0\0", None);
        check(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\0\0\0\0\x15\x08", None);
        check(b"%PDF-1.7", None);
        // Many small boxes: no deeper and no longer than a picture needs.
        let boxes = [
            b"\0\0\0\x0cftypavif".as_slice(),
            &b"\0\0\0\x08free".repeat(BOXES_MAX + 1),
        ];
        let extent = b"\0\0\0\x14ispe\0\0\0\0\0\0\0\x02\0\0\0\x03";
        check(&[&boxes.concat(), extent.as_slice()].concat(), None);
        check(&[boxes[0], extent].concat(), Some((2, 3)));
        let within = |inner: Vec<u8>| {
            let length = u32::try_from(inner.len() + 8).unwrap().to_be_bytes();
            [length.as_slice(), b"iprp", &inner].concat()
        };
        let deep = (0..BOXES_MAX * 2).fold(Vec::new(), |inner, _| within(inner));
        check(&[boxes[0], &deep].concat(), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300), kind in 0..7_usize, cut in 2..300_usize) {
            let begin = BASE64.decode(MADE[kind].1).unwrap();
            bytes.splice(0..0, begin[..cut.min(begin.len())].iter().copied());
            let _size = of_picture(&bytes);
        }

        #[test]
        fn no_svg_panics(tag in "[a-z0-9 =\"'.%<>/é-]{0,60}") {
            let _size = of_picture(format!("<svg width{tag}").as_bytes());
        }
    }
}
