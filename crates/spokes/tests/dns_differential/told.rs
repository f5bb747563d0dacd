//! What a server has said, in a form in which answers can be compared.

use std::{collections::BTreeMap, fmt};

use domain::{
    base::{Message, ParsedRecord, iana::Rtype, wire::ParseError},
    rdata::AllRecordData,
};

/// Types whose data hold names that may be compressed, and so have the case of the question (RFC 3597 section 4).
const COMPRESSED: [Rtype; 5] = [Rtype::NS, Rtype::SOA, Rtype::CNAME, Rtype::PTR, Rtype::MX];

/// One set: owner in small letters, class and type.
pub(crate) type Key = (String, u16, u16);
/// Time to live and data of each record, and how often it came; in no order (RFC 1034 section 3.6).
pub(crate) type Set = BTreeMap<(u32, String), usize>;
pub(crate) type Section = BTreeMap<Key, Set>;

/// An answer but for its id. Compression, the order of records, and EDNS sizes are left out: they may differ by right.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Told {
    /// With the upper bits that EDNS has.
    pub(crate) rcode: u16,
    pub(crate) opcode: u8,
    /// Flags that are set: `aa tc rd ra z ad cd`.
    pub(crate) flags: Vec<&'static str>,
    /// As it came: the case of letters comes back, some clients look for that.
    pub(crate) question: Vec<u8>,
    pub(crate) answer: Section,
    pub(crate) authority: Section,
    pub(crate) additional: Section,
    /// Version, and flags.
    pub(crate) edns: Option<(u8, u16)>,
    /// The options that came.
    pub(crate) options: Vec<u16>,
}

impl Told {
    /// # Errors
    /// When it cannot be read to its end.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, ParseError> {
        let message = Message::from_octets(bytes).map_err(|_| ParseError::form_error("short"))?;
        let header = message.header();
        let flags = [
            (header.aa(), "aa"),
            (header.tc(), "tc"),
            (header.rd(), "rd"),
            (header.ra(), "ra"),
            (header.z(), "z"),
            (header.ad(), "ad"),
            (header.cd(), "cd"),
        ];
        let mut told = Self {
            rcode: header.rcode().to_int().into(),
            opcode: header.opcode().to_int(),
            flags: flags.iter().filter(|f| f.0).map(|f| f.1).collect(),
            ..Self::default()
        };
        let (question, answer, authority, additional) = message.sections()?;
        let mut end = question;
        for question in end.by_ref() {
            question?;
        }
        told.question = bytes[12..end.answer()?.pos()].to_vec();
        told.answer = section(answer)?;
        told.authority = section(authority)?;
        told.additional = section(additional)?;
        if let Some(opt) = message.opt() {
            told.rcode = opt.rcode(header).to_int();
            let opt = additional
                .into_iter()
                .find_map(|r| r.ok().filter(|r| r.rtype() == Rtype::OPT));
            let ttl = opt.map_or(0, |opt| opt.ttl().as_secs()).to_be_bytes();
            told.edns = Some((ttl[1], u16::from_be_bytes([ttl[2], ttl[3]])));
        }
        if let Some(opt) = message.opt() {
            let options = opt.opt().iter::<domain::base::opt::UnknownOptData<_>>();
            told.options = options
                .flatten()
                .map(|option| option.code().to_int())
                .collect();
        }
        Ok(told)
    }

    pub(crate) fn is_set(&self, flag: &str) -> bool {
        self.flags.contains(&flag)
    }
}

type Records<'a> = domain::base::message::RecordSection<'a, &'a [u8]>;

/// All but OPT.
fn section(records: Records<'_>) -> Result<Section, ParseError> {
    let mut section = Section::new();
    for record in records {
        let record: ParsedRecord<'_, &[u8]> = record?;
        if record.rtype() == Rtype::OPT {
            continue;
        }
        let owner = record.owner().to_string().to_ascii_lowercase();
        let key = (owner, record.class().to_int(), record.rtype().to_int());
        let whole = record.to_record::<AllRecordData<_, _>>()?;
        let whole = whole.ok_or(ParseError::form_error("data of another type"))?;
        let mut data = whole.data().to_string();
        if COMPRESSED.contains(&record.rtype()) {
            data.make_ascii_lowercase();
        }
        let set = section.entry(key).or_default();
        *set.entry((record.ttl().as_secs(), data)).or_default() += 1;
    }
    Ok(section)
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "rcode {} opcode {} {}",
            self.rcode,
            self.opcode,
            self.flags.join(" ")
        )?;
        writeln!(f, ", EDNS {:?} {:?}", self.edns, self.options)?;
        writeln!(f, "    question {:02x?}", self.question)?;
        for (name, section) in [
            ("answer", &self.answer),
            ("authority", &self.authority),
            ("additional", &self.additional),
        ] {
            for ((owner, class, rtype), set) in section {
                for ((ttl, data), times) in set {
                    write!(
                        f,
                        "    {name}: {owner} {ttl} class {class} type {rtype} {data}"
                    )?;
                    writeln!(f, "{}", if *times > 1 { " TWICE" } else { "" })?;
                }
            }
        }
        Ok(())
    }
}
