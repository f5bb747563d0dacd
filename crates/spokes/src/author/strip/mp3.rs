//! MP3: the sound without the tags in front of it and behind it.

/// What a tag of the second kind says before its content.
const ID3_HEAD_BYTES: usize = 10;
const APE_FOOT_BYTES: usize = 32;
const ID3V1_BYTES: usize = 128;
/// Title, performer and so on once more, longer, in front of the first kind of tag.
const ENHANCED_BYTES: usize = 227;
/// "LYRICS200" with six digits of its size in front.
const LYRICS_FOOT_BYTES: usize = 15;
/// An empty tag. Browsers and programs know a file by it, whatever kind of frames follow.
const EMPTY: &[u8] = b"ID3\x03\0\0\0\0\0\x0A\0\0\0\0\0\0\0\0\0\0";

/// The same sound; none when it cannot be read.
pub(super) fn mp3(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut sound = bytes;
    while sound.starts_with(b"ID3") {
        let head = sound.get(..ID3_HEAD_BYTES)?;
        let foot = if head[5] & 0x10 == 0 {
            0
        } else {
            ID3_HEAD_BYTES
        };
        let size = head[6..]
            .iter()
            .fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7F));
        sound = sound.get(ID3_HEAD_BYTES + size + foot..)?;
        // Room that some programs leave, outside of what the tag says.
        let begin = sound.iter().position(|byte| *byte != 0)?;
        sound = &sound[begin..];
    }
    while let Some(shorter) = without_tail(sound) {
        sound = shorter;
    }
    let [0xFF, second, ..] = sound else {
        return None;
    };
    // Layer III of any version.
    if second & 0xE6 != 0xE2 {
        return None;
    }
    Some([EMPTY, sound].concat())
}

/// The sound without the last tag behind it; none when there is none.
fn without_tail(sound: &[u8]) -> Option<&[u8]> {
    let behind = |length: usize| sound.split_at_checked(sound.len().checked_sub(length)?);
    if let Some((before, tag)) = behind(ID3V1_BYTES)
        && tag.starts_with(b"TAG")
    {
        return Some(before);
    }
    if let Some((before, tag)) = behind(ENHANCED_BYTES)
        && tag.starts_with(b"TAG+")
    {
        return Some(before);
    }
    if let Some((before, foot)) = behind(APE_FOOT_BYTES)
        && foot.starts_with(b"APETAGEX")
    {
        let size = u32::from_le_bytes(foot[12..16].try_into().ok()?);
        let size = usize::try_from(size).ok()?.checked_sub(APE_FOOT_BYTES)?;
        let before = &before[..before.len().checked_sub(size)?];
        let head = before.len().checked_sub(APE_FOOT_BYTES);
        let head = head.filter(|at| before[*at..].starts_with(b"APETAGEX"));
        return Some(&before[..head.unwrap_or(before.len())]);
    }
    let (before, foot) = behind(LYRICS_FOOT_BYTES)?;
    let digits = foot.strip_suffix(b"LYRICS200")?;
    let size: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(&before[..before.len().checked_sub(size)?])
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::author::strip::tests::has;

    const SOUND: &[u8] = b"\xFF\xF3\x90\0sound";

    pub(in crate::author::strip) fn made() -> Vec<u8> {
        let foot = |flag: u8| {
            let mut foot = b"APETAGEX\xD0\x07\0\0\x26\0\0\0\x01\0\0\0\0\0\0\0".to_vec();
            foot.extend([0, 0, 0, flag, 0, 0, 0, 0]);
            foot
        };
        [
            b"ID3\x03\0\0\0\0\0\x0ETPE1\0\0secret\0".to_vec(),
            vec![0; 20],
            b"ID3\x04\0\x10\0\0\0\x06secret3DI\0\0\0\0\0\0\0".to_vec(),
            SOUND.repeat(40),
            foot(0xA0),
            b"secret".to_vec(),
            foot(0x80),
            b"LYRICSBEGINsecret000017LYRICS200".to_vec(),
            [b"TAG+secret".to_vec(), vec![0; 217]].concat(),
            [b"TAGsecret".to_vec(), vec![0; 119]].concat(),
        ]
        .concat()
    }

    #[test]
    fn a_sound_loses_its_tags() {
        let kept = mp3(&made()).expect("read");
        assert!(!has(&kept, b"secret"));
        assert_eq!(kept, [EMPTY, &SOUND.repeat(40)].concat());
        assert_eq!(mp3(&kept), Some(kept.clone()), "twice changes nothing");
        assert_eq!(mp3(b"ID3\x03\0\0\0\0\0\x7Fsecret"), None, "cut off");
        assert_eq!(mp3(b"ID3\x03\0\0\0\0\0\x01xAAC"), None, "another kind");
    }
}
