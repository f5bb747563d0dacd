//! AVIF (ISO 23008-12): the items that make up the picture. Where the bytes of items lie is told
//! by number, so what does not stay becomes zeros where it lies.

use std::{collections::BTreeSet, ops::Range};

use super::boxes::{Piece, blank, inside, movie, nameless, top};

/// Coded pictures, and how they are put together.
const ITEMS: [&[u8; 4]; 5] = [b"av01", b"grid", b"iovl", b"iden", b"tmap"];
/// What decides how an item looks.
const PROPERTIES: [&[u8; 4]; 19] = [
    b"ispe", b"pixi", b"colr", b"av1C", b"auxC", b"irot", b"imir", b"clap", b"pasp", b"a1op",
    b"a1lx", b"lsel", b"clli", b"mdcv", b"cclv", b"amve", b"reve", b"ndwt", b"rloc",
];

/// The same picture; none when it cannot be understood.
pub(super) fn avif(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut kept = bytes.to_vec();
    let top = top(&mut kept)?;
    let mut shown = None;
    let mut moves = false;
    for piece in &top {
        match &piece.kind {
            b"ftyp" | b"mdat" => {}
            b"moov" => {
                moves = true;
                movie(&mut kept, piece, &top)?;
            }
            b"meta" if shown.is_none() => shown = Some(items(&mut kept, piece)?),
            b"meta" => return None,
            _ => blank(&mut kept, piece),
        }
    }
    let mut shown = shown?;
    if moves {
        // The pieces of the film lie among those of its first picture.
        for gone in shown.dropped {
            kept.get_mut(gone)?.fill(0);
        }
        return Some(kept);
    }
    for piece in top.iter().filter(|piece| &piece.kind == b"mdat") {
        shown.places.push(piece.body..piece.end);
    }
    blank_between(&mut kept, &shown.places, shown.stays)?;
    Some(kept)
}

/// What is known of the items.
#[derive(Default)]
struct Shown {
    /// Where bytes of items may lie.
    places: Vec<Range<usize>>,
    stays: Vec<Range<usize>>,
    dropped: Vec<Range<usize>>,
}

/// Blanks what lies in the places and belongs to nothing that stays.
fn blank_between(
    bytes: &mut [u8],
    places: &[Range<usize>],
    mut stays: Vec<Range<usize>>,
) -> Option<()> {
    stays.sort_unstable_by_key(|range| range.start);
    for place in places {
        let first = stays.partition_point(|range| range.start < place.start);
        // One that begins before would reach in from outside, as no program writes it.
        let mut at = place.start;
        for range in stays[first..].iter().take_while(|r| r.start < place.end) {
            if range.start > at {
                bytes.get_mut(at..range.start)?.fill(0);
            }
            at = at.max(range.end);
        }
        if at < place.end {
            bytes.get_mut(at..place.end)?.fill(0);
        }
    }
    Some(())
}

/// Cleans the list of items, and says where their bytes lie.
fn items(bytes: &mut [u8], meta: &Piece) -> Option<Shown> {
    let pieces = inside(bytes, meta.body + 4, meta.end)?;
    let one = |kind: &[u8; 4]| pieces.iter().find(|piece| &piece.kind == kind);
    let previews = match one(b"iref") {
        Some(references) => previews(bytes, references)?,
        None => BTreeSet::new(),
    };
    let stays = kinds(bytes, one(b"iinf")?, &previews)?;
    let main = one(b"pitm")?;
    let mut numbers = Numbers::of(bytes, main)?;
    let wide = numbers.version()? > 0;
    if !stays.contains(&numbers.next(if wide { 4 } else { 2 })?) {
        return None;
    }
    let data = one(b"idat").map(|piece| piece.body..piece.end);
    let mut shown = located(bytes, one(b"iloc")?, &stays, data.clone())?;
    shown.places.extend(data);
    for piece in &pieces {
        match &piece.kind {
            b"hdlr" => nameless(bytes, piece)?,
            b"iprp" => properties(bytes, piece)?,
            b"pitm" | b"iloc" | b"iinf" | b"iref" | b"idat" | b"dinf" | b"grpl" => {}
            _ => blank(bytes, piece),
        }
    }
    Some(shown)
}

/// Items that are a smaller picture of another: it may show what was cut off since.
fn previews(bytes: &[u8], references: &Piece) -> Option<BTreeSet<u64>> {
    let version = Numbers::of(bytes, references)?.version()?;
    let mut previews = BTreeSet::new();
    for piece in inside(bytes, references.body + 4, references.end)? {
        if &piece.kind == b"thmb" {
            let mut numbers = Numbers::of(bytes, &piece)?;
            previews.insert(numbers.next(if version == 0 { 2 } else { 4 })?);
        }
    }
    Some(previews)
}

/// The items that stay. The others become of a kind that no program knows, and none has a name.
fn kinds(bytes: &mut [u8], list: &Piece, previews: &BTreeSet<u64>) -> Option<BTreeSet<u64>> {
    let wide = Numbers::of(bytes, list)?.version()? > 0;
    let head = if wide { 8 } else { 6 };
    let mut stays = BTreeSet::new();
    for piece in inside(bytes, list.body + head, list.end)? {
        let mut numbers = Numbers::of(bytes, &piece)?;
        let width = match numbers.version()? {
            2 => 2,
            3 => 4,
            _ => return None,
        };
        let item = numbers.next(width)?;
        // Whether it is encrypted.
        numbers.next(2)?;
        let entry = bytes.get_mut(numbers.at..piece.end)?;
        let (kind, name) = entry.split_first_chunk_mut::<4>()?;
        if ITEMS.contains(&&*kind) && !previews.contains(&item) {
            stays.insert(item);
        } else {
            *kind = *b"free";
        }
        name.fill(0);
    }
    Some(stays)
}

/// Where the bytes of the items lie (ISO 14496-12 section 8.11.3).
fn located(
    bytes: &[u8],
    list: &Piece,
    stays: &BTreeSet<u64>,
    data: Option<Range<usize>>,
) -> Option<Shown> {
    let mut numbers = Numbers::of(bytes, list)?;
    let version = numbers.version().filter(|version| *version <= 2)?;
    let sizes = numbers.next(2)?;
    let size = |shift: u32| Some((sizes >> shift) as usize & 15).filter(|s| [0, 4, 8].contains(s));
    let (offset, length, base) = (size(12)?, size(8)?, size(4)?);
    let index = if version == 0 { 0 } else { size(0)? };
    let width = if version == 2 { 4 } else { 2 };
    let mut shown = Shown::default();
    for _ in 0..numbers.next(width)? {
        let item = numbers.next(width)?;
        let method = if version == 0 {
            0
        } else {
            numbers.next(2)? & 15
        };
        let begin = match (method, &data) {
            (0, _) => 0,
            (1, Some(data)) => data.start,
            _ => return None,
        };
        // In another file.
        if numbers.next(2)? != 0 {
            return None;
        }
        let base = numbers.next(base)?;
        for _ in 0..numbers.next(2)? {
            numbers.next(index)?;
            let start = base.checked_add(numbers.next(offset)?)?;
            let start = usize::try_from(start).ok()?.checked_add(begin)?;
            // None given means "all of the file", which no program writes and nobody can cut.
            let length = usize::try_from(numbers.next(length)?)
                .ok()
                .filter(|l| *l > 0)?;
            let extent = start
                ..start
                    .checked_add(length)
                    .filter(|end| *end <= bytes.len())?;
            if stays.contains(&item) {
                shown.stays.push(extent);
            } else {
                shown.dropped.push(extent);
            }
        }
    }
    Some(shown)
}

/// Properties are counted, so one that does not stay keeps its place in the row.
fn properties(bytes: &mut [u8], list: &Piece) -> Option<()> {
    for piece in inside(bytes, list.body, list.end)? {
        match &piece.kind {
            b"ipco" => {
                for property in inside(bytes, piece.body, piece.end)? {
                    if !PROPERTIES.contains(&&property.kind) {
                        blank(bytes, &property);
                    }
                }
            }
            b"ipma" => {}
            _ => blank(bytes, &piece),
        }
    }
    Some(())
}

/// Numbers of a box, read one after the other.
struct Numbers<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Numbers<'a> {
    fn of(bytes: &'a [u8], piece: &Piece) -> Option<Self> {
        Some(Self {
            bytes: bytes.get(..piece.end)?,
            at: piece.body,
        })
    }

    /// The version that many boxes begin with; their flags are left out.
    fn version(&mut self) -> Option<u64> {
        Some(self.next(4)? >> 24)
    }

    fn next(&mut self, width: usize) -> Option<u64> {
        let end = self.at.checked_add(width)?;
        let number = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(
            number
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        )
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::author::strip::{boxes::tests::boxed, tests::has};

    fn item(number: u8, kind: &[u8; 4], rest: &[u8]) -> Vec<u8> {
        let head = [2, 0, 0, 0, 0, number, 0, 0];
        boxed(b"infe", &[&head, &kind[..], rest].concat())
    }

    /// Four items of six bytes each: a picture, its preview, EXIF, XMP.
    pub(in crate::author::strip) fn made(noise: &[u8], length: u8) -> Vec<u8> {
        let list = [
            b"\0\0\0\0\0\x04".to_vec(),
            item(1, b"av01", &[noise, b"\0"].concat()),
            item(2, b"av01", b"\0"),
            item(3, b"Exif", b"\0"),
            item(4, b"mime", b"\0application/rdf+xml\0"),
        ]
        .concat();
        let properties = [boxed(b"ispe", &[0; 12]), boxed(b"udes", noise)].concat();
        let properties = [boxed(b"ipco", &properties), boxed(b"ipma", &[0; 8])].concat();
        let references = [
            boxed(b"thmb", &[0, 2, 0, 1, 0, 1]),
            boxed(b"cdsc", &[0, 3, 0, 1, 0, 1]),
        ];
        let with = |places: [u16; 4]| {
            let mut located = b"\0\0\0\0\x44\0\0\x04".to_vec();
            for (number, place) in (1..).zip(places) {
                located.extend([0, number, 0, 0, 0, 1, 0, 0]);
                located.extend(place.to_be_bytes());
                located.extend([0, 0, 0, length]);
            }
            let meta = [
                vec![0; 4],
                boxed(
                    b"hdlr",
                    &[&[0; 8], &b"pict"[..], &[0; 12], noise, b"\0"].concat(),
                ),
                boxed(b"pitm", &[0, 0, 0, 0, 0, 1]),
                boxed(b"iloc", &located),
                boxed(b"iinf", &list),
                boxed(b"iref", &[&[0; 4], &references.concat()[..]].concat()),
                boxed(b"iprp", &properties),
                boxed(b"uuid", noise),
            ];
            [
                boxed(b"ftyp", b"avif\0\0\0\0"),
                boxed(b"meta", &meta.concat()),
                boxed(b"free", noise),
            ]
            .concat()
        };
        let begin = u16::try_from(with([0; 4]).len() + 8).expect("short");
        let data = [
            b"pixels".as_slice(),
            b"secret",
            b"secret",
            b"secret",
            b"secret",
        ]
        .concat();
        [
            with([begin, begin + 6, begin + 12, begin + 18]),
            boxed(b"mdat", &data),
        ]
        .concat()
    }

    #[test]
    fn an_avif_keeps_its_picture_where_it_was() {
        let noisy = made(b"Mary's secret", 6);
        let kept = avif(&[&noisy[..], b"a secret behind"].concat()).expect("read");
        for gone in [b"secret".as_slice(), b"Mary", b"Exif", b"mime", b"rdf"] {
            assert!(!has(&kept, gone), "{}", gone.escape_ascii());
        }
        assert_eq!(kept.len(), noisy.len(), "nothing is moved");
        assert!(kept.ends_with(&[b"mdatpixels".as_slice(), &[0; 24]].concat()));
        assert!(has(&kept, b"ispe") && has(&kept, b"av01"));
        assert_eq!(avif(&kept), Some(kept.clone()), "twice changes nothing");
    }

    #[test]
    fn an_avif_that_cannot_be_understood_is_refused() {
        let picture = made(b"Mary's secret", 6);
        assert_eq!(avif(&picture[..picture.len() - 1]), None, "cut off");
        assert_eq!(avif(&made(b"Mary's secret", 0)), None, "no end");
        assert_eq!(
            avif(&made(b"Mary's secret", 200)),
            None,
            "outside of the file"
        );
        assert_eq!(avif(b"\0\0\0\x10ftypavif\0\0\0\0"), None, "no items");
    }
}
