//! What a picture says beside the picture: camera, place, previews. It goes before anything is
//! hashed, because what was published once cannot be called back.
//!
//! Each format has a list of what stays. What programs will note tomorrow is on none.

mod avif;
mod boxes;
mod gif;
mod jpeg;
mod mp3;
mod png;
mod svg;
mod webp;

/// The same file without what it says about its making; none when it cannot be read, because then
/// nothing could be removed.
pub(crate) fn stripped(kind: &str, bytes: Vec<u8>) -> Option<Vec<u8>> {
    match kind {
        "image/jpeg" => jpeg::jpeg(&bytes),
        "image/png" => png::png(&bytes),
        "image/webp" => webp::webp(&bytes),
        "image/gif" => gif::gif(&bytes),
        "image/avif" => avif::avif(&bytes),
        "image/svg+xml" => svg::svg(&bytes),
        "video/mp4" | "audio/mp4" => boxes::film(&bytes),
        "audio/mpeg" => mp3::mp3(&bytes),
        _ => Some(bytes),
    }
}

/// What is left in a file because nothing removes it yet; none when nothing is known of.
pub(crate) fn left_in(kind: &str, bytes: &[u8]) -> Option<&'static str> {
    match kind {
        "application/pdf" | "audio/ogg" | "video/ogg" | "video/webm" => {
            Some("keeps what programs noted in it, such as names, places and hours")
        }
        "image/svg+xml" if has(bytes, b"data:image/") => {
            Some("keeps what a camera may have noted in the pictures inside it")
        }
        _ => None,
    }
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::{
        jpeg::{jpeg, orientation_of},
        *,
    };

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
            segment(0xE0, b"JFIF\0\x01\x02\0\0\x01\0\x01\x02\x01secret"),
            segment(0xE0, b"JFXX\0\x10secret"),
            segment(0xEE, b"Adobe\0d\0\0\0\0\x01secret"),
            segment(0xF0, b"secret"),
            segment(0xFD, b"secret"),
            segment(0x02, b"secret"),
            segment(0xC8, b"secret"),
            segment(0xEB, b"JP\0\x01C2PA secret"),
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

    pub(super) fn has(bytes: &[u8], part: &[u8]) -> bool {
        super::has(bytes, part)
    }

    /// Beginnings that lead past the first look.
    const BEGINNINGS: &[(&str, &[u8])] = &[
        ("image/jpeg", b"\xFF\xD8"),
        ("image/png", b"\x89PNG\r\n\x1a\n"),
        ("image/webp", b"RIFF\x40\0\0\0WEBPVP8 "),
        ("image/gif", b"GIF89a\x01\0\x01\0\0\0\0"),
        ("image/avif", b"\0\0\0\x10ftypavif\0\0\0\0\0\0\0\x40meta"),
        ("image/svg+xml", b"<svg"),
        ("video/mp4", b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x40moov"),
        ("audio/mpeg", b"ID3\x03\0\0\0\0\0\x01x"),
    ];

    /// A good file of each kind whose parts name places in it.
    fn good() -> Vec<(&'static str, Vec<u8>)> {
        vec![
            ("image/jpeg", photo(6)),
            ("image/avif", avif::tests::made(b"Mary's secret", 6)),
            (
                "video/mp4",
                boxes::tests::made(b"secret", &[24, 38], &[31, 45]),
            ),
            ("image/webp", webp::tests::made()),
            ("image/gif", gif::tests::made()),
            ("audio/mpeg", mp3::tests::made()),
        ]
    }

    #[test]
    fn a_photo_keeps_its_picture_and_its_turn() {
        let kept = jpeg(&photo(6)).expect("read");
        for gone in [b"secret".as_slice(), b"48.2N", b"Nik", b"MPF", b"Photoshop"] {
            assert!(!has(&kept, gone), "{gone:?}");
        }
        for stays in [
            b"\xFF\xE0\0\x10JFIF\0\x01\x02\0\0\x01\0\x01\0\0\xFF".as_slice(),
            b"\xFF\xEE\0\x0eAdobe\0d\0\0\0\0\x01\xFF",
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
    fn what_nothing_removes_is_said() {
        assert!(left_in("video/webm", b"").is_some());
        assert!(left_in("image/svg+xml", b"<image href='data:image/jpeg;").is_some());
        assert_eq!(left_in("image/svg+xml", b"<svg/>"), None);
        assert_eq!(left_in("image/jpeg", b""), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            kind in proptest::sample::select(BEGINNINGS),
        ) {
            let (kind, head) = kind;
            if let Some(kept) = stripped(kind, [head, &bytes].concat()) {
                prop_assert!(stripped(kind, kept).is_some());
            }
            orientation_of(&bytes);
        }

        #[test]
        fn no_byte_of_a_good_file_makes_a_panic(
            file in 0_usize..6,
            changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..8),
        ) {
            let (kind, mut bytes) = good().swap_remove(file);
            for (at, byte) in changes {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            stripped(kind, bytes);
        }
    }
}
