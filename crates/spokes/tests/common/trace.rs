//! What a process asked of the system, as `strace` wrote it down.

use std::{collections::BTreeMap, fs, path::Path};

/// All that can change a disk, tell somebody something, or say which file a number stands for.
const TRACED: &str = "trace=openat,open,creat,close,dup,dup2,dup3,fcntl,lseek,write,writev,pwrite64,\
                      pwritev,pwritev2,ftruncate,truncate,fallocate,fsync,fdatasync,sync_file_range,\
                      rename,renameat,renameat2,unlink,unlinkat,link,linkat,symlink,symlinkat,mkdir,\
                      mkdirat,rmdir,mmap,copy_file_range,sendfile,io_uring_setup,sendto,sendmsg,\
                      sendmmsg,execve";
/// Longer than anything that a node writes at once here; a string that is cut off fails the test.
const STRING_MAX: &str = "4000000";
/// Each sync takes at least so many microseconds, as on a real disk: who answers too early is seen.
const SYNC_TAKES: &str = "inject=fsync,fdatasync:delay_enter=1500";

/// The arguments of `strace` before the program's own; `blow` is what befalls the program.
pub(crate) fn arguments(file: &Path, blow: Option<&str>) -> Vec<String> {
    let mut all: Vec<&str> = vec!["-f", "-qq", "-ttt", "-xx", "-s", STRING_MAX, "-e", TRACED];
    all.extend([
        "-e",
        "signal=none",
        "-e",
        SYNC_TAKES,
        "-o",
        file.to_str().unwrap(),
    ]);
    match blow {
        Some(blow) => all.extend(["-e", blow]),
        // Only what is recorded stops the program. A kill at the nth call is forgotten by it.
        None => all.push("--seccomp-bpf"),
    }
    all.push("--");
    all.into_iter().map(str::to_owned).collect()
}

/// One system call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// As strace writes them, without the strings' bytes.
    arguments: Vec<String>,
    /// The strings among them, in order; of vectors the parts, joined.
    strings: Vec<Vec<u8>>,
    /// What came back; none if the process ended before it did.
    pub(crate) result: Option<i64>,
}

impl Call {
    /// Whether it makes a file durable.
    pub(crate) fn is_sync(&self) -> bool {
        matches!(self.name.as_str(), "fsync" | "fdatasync")
    }

    /// An argument as a number: a file's or an offset.
    pub(crate) fn number(&self, place: usize) -> i64 {
        let word = self.arguments.get(place).map_or("", String::as_str);
        word.parse()
            .unwrap_or_else(|_| panic!("{self:?} has no number at {place}"))
    }

    /// An argument as it stands.
    pub(crate) fn word(&self, place: usize) -> &str {
        self.arguments.get(place).map_or("", String::as_str)
    }

    /// A string among the arguments.
    pub(crate) fn string(&self, place: usize) -> &[u8] {
        self.strings.get(place).map_or(&[], Vec::as_slice)
    }

    /// A path among the arguments.
    pub(crate) fn path(&self, place: usize) -> &Path {
        Path::new(std::str::from_utf8(self.string(place)).unwrap())
    }
}

/// A step of a story: a call begins, or it has ended. What began before something else ended may
/// have happened behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// A new process, with no file open.
    Starts,
    Begins(usize),
    Ends(usize),
}

/// What one node did, from the first process that touched its disk to the last.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) calls: Vec<Call>,
    pub(crate) steps: Vec<Step>,
    /// When each step was taken, in microseconds: the same clock on all nodes.
    pub(crate) times: Vec<u64>,
    now: u64,
}

impl Trace {
    /// Takes in what one more process did.
    pub(crate) fn read(&mut self, file: &Path) {
        let text = fs::read_to_string(file).unwrap();
        let mut open: BTreeMap<&str, (usize, String)> = BTreeMap::new();
        self.step(Step::Starts);
        for line in text.lines() {
            let (thread, said) = line.split_once(' ').unwrap();
            let (time, said) = said.trim_start().split_once(' ').unwrap();
            self.now = time.replace('.', "").parse().unwrap();
            let said = said.trim_start();
            if said.starts_with("+++") || said.starts_with("---") {
                continue;
            }
            if let Some(begun) = said.strip_suffix(" <unfinished ...>") {
                let call = self.begin(begun);
                open.insert(thread, (call, begun.to_owned()));
            } else if let Some(rest) = said.strip_prefix("<... ") {
                let (_, rest) = rest.split_once(" resumed>").unwrap();
                let (call, begun) = open.remove(thread).unwrap();
                self.end(call, &format!("{begun}{rest}"));
            } else {
                let call = self.begin(said);
                self.end(call, said);
            }
        }
    }

    fn step(&mut self, step: Step) {
        self.steps.push(step);
        self.times.push(self.now);
    }

    fn begin(&mut self, said: &str) -> usize {
        let place = self.calls.len();
        let (name, rest) = said.split_once('(').unwrap_or((said, ""));
        let (arguments, strings, _) = parse(rest);
        if is_noise(name, &arguments) {
            // It stays a call, so that its end finds it, but is no step of the story.
            self.calls.push(Call::default());
            return place;
        }
        self.calls.push(Call {
            name: name.to_owned(),
            arguments,
            strings,
            result: None,
        });
        self.step(Step::Begins(place));
        place
    }

    fn end(&mut self, place: usize, said: &str) {
        let (_, rest) = said.split_once('(').unwrap_or((said, ""));
        let (arguments, strings, behind) = parse(rest);
        let result = behind.trim_start().strip_prefix("= ").unwrap_or_default();
        let result = result.split(' ').next().unwrap_or_default();
        let call = &mut self.calls[place];
        if call.name.is_empty() {
            return;
        }
        (call.arguments, call.strings) = (arguments, strings);
        call.result = number(result);
        // Of what was killed in its midst nobody knows that it ended.
        if call.result.is_some() {
            self.step(Step::Ends(place));
        }
    }

    /// Where the bytes of each call that sends something begin to leave.
    pub(crate) fn sent(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.steps.iter().enumerate().filter_map(|(at, step)| {
            let Step::Begins(call) = *step else {
                return None;
            };
            let call = &self.calls[call];
            let sends = matches!(
                call.name.as_str(),
                "write" | "writev" | "sendto" | "sendmsg"
            );
            sends.then(|| (at, call.string(0)))
        })
    }
}

/// Locks, and memory of no file.
fn is_noise(name: &str, arguments: &[String]) -> bool {
    let has = |word: &str| arguments.iter().any(|argument| argument.contains(word));
    name == "fcntl" && !has("F_DUPFD") || name == "mmap" && has("MAP_ANONYMOUS")
}

fn number(word: &str) -> Option<i64> {
    match word.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok(),
        None => word.parse().ok(),
    }
}

/// Splits the arguments at their commas; what is behind the closing bracket comes back as it is.
fn parse(text: &str) -> (Vec<String>, Vec<Vec<u8>>, &str) {
    let (mut arguments, mut strings) = (vec![String::new()], Vec::<Vec<u8>>::new());
    let mut depth = 0;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        rest = &rest[first.len_utf8()..];
        match first {
            '"' => {
                let (inside, behind) = rest.split_once('"').unwrap_or((rest, ""));
                assert!(
                    !behind.starts_with("..."),
                    "a string was cut off: {STRING_MAX}"
                );
                let bytes = unhex(inside);
                let part = arguments.last().unwrap().ends_with("iov_base=");
                let joined = part && arguments.last().unwrap().matches("iov_base=").count() > 1;
                match strings.last_mut().filter(|_| joined) {
                    Some(last) => last.extend(bytes),
                    None => strings.push(bytes),
                }
                rest = behind;
            }
            ')' if depth == 0 => return (arguments, strings, rest),
            ',' if depth == 0 => {
                arguments.push(String::new());
                rest = rest.trim_start();
            }
            _ => {
                depth += i32::from("([{".contains(first)) - i32::from(")]}".contains(first));
                arguments.last_mut().unwrap().push(first);
            }
        }
    }
    (arguments, strings, rest)
}

fn unhex(inside: &str) -> Vec<u8> {
    let pairs = inside.split("\\x").skip(1);
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}
