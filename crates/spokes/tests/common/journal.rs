//! The council's journal as it lies on a disk: which requests it holds, read without the program's own code.

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;

const HEADER: &[u8] = b"Spokes-Journal: 1\n";
const MARK: &[u8] = b"\xc5SJ\n";

/// The texts of all requests that the journal holds durably; none where there is no journal.
pub(crate) fn requests(path: &Path) -> BTreeSet<String> {
    let bytes = std::fs::read(path).unwrap_or_default();
    let mut rest = bytes.strip_prefix(HEADER).unwrap_or_default();
    let mut entries: Vec<&[u8]> = Vec::new();
    while let Some((block, behind)) = block(rest) {
        rest = behind;
        note(block, &mut entries);
    }
    let texts = entries.iter().flat_map(|entry| texts(entry));
    texts.collect()
}

fn number(bytes: &[u8]) -> usize {
    u32::from_le_bytes(bytes.try_into().unwrap()) as usize
}

/// The next block, if a whole one is there, and what is behind it.
fn block(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = rest.strip_prefix(MARK)?.split_at_checked(4)?;
    let (sum, rest) = rest.split_at_checked(4)?;
    let (block, behind) = rest.split_at_checked(number(length))?;
    (crc32fast::hash(block) as usize == number(sum)).then_some((block, behind))
}

fn note<'b>(mut block: &'b [u8], entries: &mut Vec<&'b [u8]>) {
    while let Some((head, rest)) = block.split_at_checked(5) {
        let (body, behind) = rest.split_at(number(&head[1..]));
        match head[0] {
            b'e' => entries.push(body),
            b't' => entries
                .truncate(usize::try_from(u64::from_le_bytes(body.try_into().unwrap())).unwrap()),
            _ => {}
        }
        block = behind;
    }
}

fn texts(entry: &[u8]) -> Vec<String> {
    let entry: Value = serde_json::from_slice(entry).unwrap();
    let requests = entry["payload"]["Normal"]["requests"].as_array();
    let text = |request: &Value| request["signed"]["text"].as_str().unwrap().to_owned();
    requests.into_iter().flatten().map(text).collect()
}
