//! MP4 and its kin (ISO 14496-12): boxes in boxes. Places in the file are named by number all over
//! it, so nothing is moved: what does not stay becomes `free` and zeros where it lies.

/// A film of 32 MiB in pieces of a tenth of a second has far fewer on one level; a bound for
/// hostile ones.
const BOXES_MAX: usize = 100_000;
/// Kinds of tracks that a reader sees or hears; others carry places, hours and serial numbers.
const HANDLERS: [&[u8; 4]; 8] = [
    b"vide", b"soun", b"text", b"sbtl", b"subt", b"clcp", b"pict", b"auxv",
];

/// A box, by where it lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) kind: [u8; 4],
    start: usize,
    /// Where its content begins.
    pub(super) body: usize,
    pub(super) end: usize,
}

/// The same film; none when it cannot be read.
pub(super) fn film(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut kept = bytes.to_vec();
    let top = top(&mut kept)?;
    for piece in &top {
        match &piece.kind {
            b"moov" => movie(&mut kept, piece, &top)?,
            b"moof" => clean(&mut kept, piece)?,
            b"ftyp" | b"styp" | b"mdat" | b"sidx" | b"ssix" | b"mfra" | b"pdin" => {}
            _ => blank(&mut kept, piece),
        }
    }
    top.iter()
        .any(|piece| &piece.kind == b"moov")
        .then_some(kept)
}

/// The boxes of a whole file, from which bytes that are none are cut off at the end.
pub(super) fn top(bytes: &mut Vec<u8>) -> Option<Vec<Piece>> {
    let (pieces, end) = walk(bytes, 0, bytes.len())?;
    let has_data = pieces.iter().any(|piece| &piece.kind == b"mdat");
    if end < bytes.len() && !has_data {
        return None;
    }
    bytes.truncate(end);
    Some(pieces)
}

/// The boxes inside a range that is full of them.
pub(super) fn inside(bytes: &[u8], body: usize, end: usize) -> Option<Vec<Piece>> {
    let (pieces, reached) = walk(bytes, body, end)?;
    // QuickTime ends some lists with a zero.
    let is_full = bytes.get(reached..end)?.iter().all(|byte| *byte == 0);
    is_full.then_some(pieces)
}

/// The boxes of a range, and how far they go.
fn walk(bytes: &[u8], mut at: usize, to: usize) -> Option<(Vec<Piece>, usize)> {
    let mut pieces = Vec::new();
    while let Some(piece) = piece(bytes.get(..to)?, at) {
        at = piece.end;
        pieces.push(piece);
        if pieces.len() > BOXES_MAX {
            return None;
        }
    }
    Some((pieces, at))
}

fn piece(bytes: &[u8], start: usize) -> Option<Piece> {
    let head = bytes.get(start..start.checked_add(8)?)?;
    let size = u32::from_be_bytes(head[..4].try_into().ok()?);
    let kind = head[4..].try_into().ok()?;
    let (body, end) = match size {
        0 => (start + 8, bytes.len()),
        1 => {
            let size = bytes.get(start + 8..start + 16)?.try_into().ok()?;
            let size = usize::try_from(u64::from_be_bytes(size)).ok()?;
            (start + 16, start.checked_add(size)?)
        }
        size => (start + 8, start.checked_add(usize::try_from(size).ok()?)?),
    };
    let fits = body <= end && end <= bytes.len();
    fits.then_some(Piece {
        kind,
        start,
        body,
        end,
    })
}

pub(super) fn blank(bytes: &mut [u8], piece: &Piece) {
    bytes[piece.start + 4..piece.start + 8].copy_from_slice(b"free");
    bytes[piece.body..piece.end].fill(0);
}

/// Cleans the description of a film, and takes out the tracks that nobody sees or hears.
pub(super) fn movie(bytes: &mut [u8], moov: &Piece, top: &[Piece]) -> Option<()> {
    let mut kept = Vec::new();
    let mut dropped = Vec::new();
    for track in inside(bytes, moov.body, moov.end)? {
        if &track.kind != b"trak" {
            continue;
        }
        let chunks = chunks(bytes, &track)?;
        if is_shown(bytes, &track)? {
            kept.extend(chunks);
            continue;
        }
        // Pieces of a film in many parts cannot be found by their track's description.
        if top.iter().any(|piece| &piece.kind == b"moof") {
            return None;
        }
        dropped.extend(chunks);
        blank(bytes, &track);
    }
    blank_chunks(bytes, kept, dropped, top);
    clean(bytes, moov)
}

fn is_shown(bytes: &[u8], track: &Piece) -> Option<bool> {
    let handler = below(bytes, track, &[b"mdia", b"hdlr"])?;
    let kind = bytes.get(handler.body + 8..handler.body + 12)?;
    Some(HANDLERS.iter().any(|shown| *shown == kind))
}

/// The first box that a path of kinds leads to.
fn below(bytes: &[u8], piece: &Piece, path: &[&[u8; 4]]) -> Option<Piece> {
    path.iter().try_fold(*piece, |piece, kind| {
        inside(bytes, piece.body, piece.end)?
            .into_iter()
            .find(|inner| inner.kind == **kind)
    })
}

/// Where the data of a track begin, each time that another track's lie between.
fn chunks(bytes: &[u8], track: &Piece) -> Option<Vec<usize>> {
    let table = below(bytes, track, &[b"mdia", b"minf", b"stbl"])?;
    let mut chunks = Vec::new();
    for piece in inside(bytes, table.body, table.end)? {
        let width = match &piece.kind {
            b"stco" => 4,
            b"co64" => 8,
            _ => continue,
        };
        let list = bytes.get(piece.body + 8..piece.end)?;
        chunks.extend(list.chunks_exact(width).filter_map(|number| {
            let number = number
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
            usize::try_from(number).ok()
        }));
    }
    Some(chunks)
}

/// Blanks each dropped chunk up to where something else begins.
fn blank_chunks(bytes: &mut [u8], kept: Vec<usize>, mut dropped: Vec<usize>, top: &[Piece]) {
    dropped.sort_unstable();
    dropped.dedup();
    let mut bounds = kept;
    bounds.extend(&dropped);
    bounds.extend(top.iter().map(|piece| piece.end));
    bounds.sort_unstable();
    for start in dropped {
        let data = top.get(top.partition_point(|piece| piece.end <= start));
        let is_data = data.is_some_and(|data| &data.kind == b"mdat" && data.body <= start);
        let next = bounds.partition_point(|bound| *bound <= start);
        if let (true, Some(end)) = (is_data, bounds.get(next)) {
            bytes[start..*end].fill(0);
        }
    }
}

/// What stays inside a box that holds others.
fn kept_in(kind: &[u8; 4]) -> Option<&'static [&'static [u8; 4]]> {
    Some(match kind {
        b"moov" => &[b"mvhd", b"iods", b"trak", b"mvex"],
        b"trak" => &[b"tkhd", b"edts", b"tref", b"trgr", b"mdia"],
        b"mdia" => &[b"mdhd", b"hdlr", b"elng", b"minf"],
        b"minf" => &[
            b"vmhd", b"smhd", b"nmhd", b"sthd", b"hmhd", b"gmhd", b"dinf", b"stbl",
        ],
        b"stbl" => &[
            b"stsd", b"stts", b"ctts", b"cslg", b"stss", b"stsh", b"stsc", b"stsz", b"stz2",
            b"stco", b"co64", b"sdtp", b"sbgp", b"sgpd", b"subs", b"padb", b"stdp",
        ],
        b"moof" => &[b"mfhd", b"traf"],
        b"traf" => &[
            b"tfhd", b"tfdt", b"trun", b"sdtp", b"sbgp", b"sgpd", b"subs",
        ],
        _ => return None,
    })
}

/// Blanks everything inside that does not stay, hours and names of programs too.
fn clean(bytes: &mut [u8], piece: &Piece) -> Option<()> {
    let Some(stays) = kept_in(&piece.kind) else {
        return Some(());
    };
    for inner in inside(bytes, piece.body, piece.end)? {
        if !stays.contains(&&inner.kind) {
            blank(bytes, &inner);
            continue;
        }
        match &inner.kind {
            // When it was made, and when changed.
            b"mvhd" | b"tkhd" | b"mdhd" => {
                let width = if *bytes.get(inner.body)? == 0 { 8 } else { 16 };
                bytes
                    .get_mut(inner.body + 4..inner.end)?
                    .get_mut(..width)?
                    .fill(0);
            }
            b"hdlr" => nameless(bytes, &inner)?,
            _ => clean(bytes, &inner)?,
        }
    }
    Some(())
}

/// Takes the name out of a handler: programs and makers of cameras write theirs.
pub(super) fn nameless(bytes: &mut [u8], handler: &Piece) -> Option<()> {
    bytes.get_mut(handler.body + 24..handler.end)?.fill(0);
    Some(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::author::strip::tests::has;

    pub(in crate::author::strip) fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let size = u32::try_from(content.len() + 8).expect("short");
        [&size.to_be_bytes()[..], kind, content].concat()
    }

    fn track(handler: &[u8; 4], chunks: &[u32], noise: &[u8]) -> Vec<u8> {
        let count = u32::try_from(chunks.len()).expect("few");
        let mut list = [[0; 4], count.to_be_bytes()].concat();
        list.extend(chunks.iter().flat_map(|chunk| chunk.to_be_bytes()));
        let table = [boxed(b"stsd", b"codec"), boxed(b"stco", &list)].concat();
        let handler = [&[0; 8], &handler[..], &[0; 12], noise].concat();
        let media = [
            boxed(b"mdhd", &[9; 24]),
            boxed(b"hdlr", &handler),
            boxed(b"minf", &boxed(b"stbl", &table)),
        ]
        .concat();
        let parts = [
            boxed(b"tkhd", &[[0; 12], [9; 12]].concat()),
            boxed(b"mdia", &media),
            boxed(b"udta", noise),
            boxed(b"meta", noise),
        ];
        boxed(b"trak", &parts.concat())
    }

    const BEGIN: &[u8] = b"\0\0\0\x10ftypisom\0\0\0\0";
    const DATA: &[u8] = b"frame-1secret1frame-2secret2";

    /// A film with the data in front, so that their places are easy to name.
    pub(in crate::author::strip) fn made(noise: &[u8], seen: &[u32], noted: &[u32]) -> Vec<u8> {
        let place = [b"\0\x15\x15\xc7+48.2010+016.3700/", noise].concat();
        let moov = [
            boxed(b"mvhd", &[1; 100]),
            track(b"vide", seen, noise),
            track(b"meta", noted, noise),
            boxed(b"udta", &boxed(b"\xa9xyz", &place)),
            boxed(b"meta", noise),
        ];
        [
            BEGIN.to_vec(),
            boxed(b"mdat", DATA),
            boxed(b"moov", &moov.concat()),
            boxed(b"uuid", noise),
            boxed(b"free", noise),
        ]
        .concat()
    }

    #[test]
    fn a_film_keeps_what_is_seen_and_heard_where_it_was() {
        let mut noisy = made(b"secret", &[24, 38], &[31, 45]);
        let length = noisy.len();
        noisy.extend_from_slice(b"a secret behind");
        let kept = film(&noisy).expect("read");
        for gone in [b"secret".as_slice(), b"+48.2", b"udta", b"\xa9xyz", b"uuid"] {
            assert!(!has(&kept, gone), "{}", gone.escape_ascii());
        }
        assert_eq!(kept.len(), length, "nothing is moved");
        assert_eq!(&kept[24..52], b"frame-1\0\0\0\0\0\0\0frame-2\0\0\0\0\0\0\0");
        assert!(has(&kept, b"stsd") && has(&kept, b"codec"));
        // 1904, as in files that do not say when.
        assert!(has(&kept, b"mvhd\x01\x01\x01\x01\0\0\0\0"));
        assert_eq!(film(&kept), Some(kept.clone()), "twice changes nothing");
    }

    #[test]
    fn a_film_that_cannot_be_understood_is_refused() {
        let film_of = |noise: &[u8]| made(noise, &[24], &[31]);
        assert_eq!(film(BEGIN), None, "no description");
        let cut = film_of(b"x");
        assert_eq!(film(&cut[..cut.len() / 2]), None, "cut off");
        let parts = [film_of(b"x"), boxed(b"moof", b"")].concat();
        assert_eq!(film(&parts), None, "noted places in parts");
        let many = boxed(b"free", b"").repeat(BOXES_MAX + 1);
        assert_eq!(film(&[film_of(b"x"), many].concat()), None);
    }
}
