//! What an author sees: facts on standard output, everything said on the way on standard error.

use std::{
    collections::VecDeque,
    io::{self, BufRead, BufReader, IsTerminal as _, Write},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc},
    thread,
    time::Duration,
};

use serde::Serialize;

use crate::shown::{escaped, shown};

/// How long a pipe may take to answer: whoever pipes an answer has written it before, and a script
/// that keeps its pipe open and says nothing must not be kept waiting.
const PIPE_WAIT: Duration = Duration::from_millis(300);

/// Where a command writes, and whom it asks.
pub struct Console {
    facts: Mutex<Box<dyn Write + Send>>,
    words: Mutex<Words>,
    person: Person,
}

struct Words {
    to: Box<dyn Write + Send>,
    /// Whether a progress line stands there that the next words wipe out.
    drawn: bool,
}

/// Who answers questions.
enum Person {
    /// Somebody at a terminal.
    There,
    /// Nobody: a script that writes to a terminal's place.
    Absent,
    /// Nobody either, but a pipe or a file in whose first line an answer may stand.
    Piped(Piped),
    /// A test, with answers laid out.
    Played(Mutex<VecDeque<bool>>),
}

/// What stands in for somebody who types.
struct Piped {
    input: Mutex<Option<Box<dyn BufRead + Send>>>,
    /// Read once: one answer is meant for every question. None where the input ended, or says nothing.
    answer: OnceLock<Option<String>>,
}

impl Piped {
    fn new(input: impl BufRead + Send + 'static) -> Self {
        Self {
            input: Mutex::new(Some(Box::new(input))),
            answer: OnceLock::new(),
        }
    }

    fn answer(&self) -> Option<&str> {
        let answer = self.answer.get_or_init(|| {
            let mut input = held(&self.input).take()?;
            let (told, hears) = mpsc::channel();
            // It may wait for ever, and ends with the process.
            thread::spawn(move || {
                let mut line = String::new();
                input.read_line(&mut line).ok();
                told.send(line).ok();
            });
            let line = hears.recv_timeout(PIPE_WAIT).ok();
            line.filter(|line| !line.is_empty())
        });
        answer.as_deref()
    }
}

impl Console {
    /// The process's own: questions are asked when both standard input and error are a terminal.
    pub fn standard() -> Self {
        let person = match (io::stdin().is_terminal(), io::stderr().is_terminal()) {
            (true, true) => Person::There,
            (true, false) => Person::Absent,
            (false, _) => Person::Piped(Piped::new(BufReader::new(io::stdin()))),
        };
        Self::new(Box::new(io::stdout()), Box::new(io::stderr()), person)
    }

    /// One that keeps what is written, for tests. `answers` are given one after the other; with
    /// none at all, nobody is there to ask.
    pub fn captured(answers: &[bool]) -> (Self, Captured) {
        let captured = Captured::default();
        let person = if answers.is_empty() {
            Person::Absent
        } else {
            Person::Played(Mutex::new(answers.iter().copied().collect()))
        };
        let facts = Box::new(Shared(Arc::clone(&captured.facts)));
        let words = Box::new(Shared(Arc::clone(&captured.words)));
        (Self::new(facts, words, person), captured)
    }

    /// One that keeps what is written, with a pipe in the place of somebody who types.
    #[cfg(test)]
    pub(crate) fn captured_with_pipe(input: &'static str) -> (Self, Captured) {
        let (console, captured) = Self::captured(&[]);
        let person = Person::Piped(Piped::new(input.as_bytes()));
        (Self { person, ..console }, captured)
    }

    fn new(facts: Box<dyn Write + Send>, words: Box<dyn Write + Send>, person: Person) -> Self {
        Self {
            facts: Mutex::new(facts),
            words: Mutex::new(Words {
                to: words,
                drawn: false,
            }),
            person,
        }
    }

    /// Writes one line of fact.
    pub fn fact(&self, line: &str) {
        self.write_fact(&shown(line));
    }

    fn write_fact(&self, line: &str) {
        self.wipe();
        let mut facts = held(&self.facts);
        // Whoever closed the pipe has read enough; the command's work goes on.
        writeln!(facts, "{line}").and_then(|()| facts.flush()).ok();
    }

    /// Writes facts for programs.
    pub fn json(&self, facts: &impl Serialize) {
        match serde_json::to_string_pretty(facts) {
            Ok(text) => self.write_fact(&escaped(&text)),
            Err(why) => self.say(&format!("the facts could not be written as JSON: {why}")),
        }
    }

    /// Says something on the way.
    pub fn say(&self, line: &str) {
        self.wipe();
        let mut words = held(&self.words);
        writeln!(words.to, "{}", shown(line)).ok();
    }

    /// Draws a line that the next one replaces; only where somebody watches.
    pub fn progress(&self, line: &str) {
        if !matches!(self.person, Person::There) {
            return;
        }
        let mut words = held(&self.words);
        write!(words.to, "\r\x1b[K{}", shown(line))
            .and_then(|()| words.to.flush())
            .ok();
        words.drawn = true;
    }

    /// Asks for something that is typed behind the words.
    pub(crate) fn prompt(&self, words: &str) {
        self.wipe();
        let mut to = held(&self.words);
        write!(to.to, "{}", shown(words))
            .and_then(|()| to.to.flush())
            .ok();
    }

    fn wipe(&self) {
        let mut words = held(&self.words);
        if words.drawn {
            write!(words.to, "\r\x1b[K").ok();
            words.drawn = false;
        }
    }

    /// Whether somebody is there to ask.
    pub fn is_attended(&self) -> bool {
        !matches!(self.person, Person::Absent | Person::Piped(_))
    }

    /// Asks yes or no. Enter means `otherwise`. That nobody answers is a no: what is signed and published stays, so
    /// somebody has to have wanted it.
    pub fn ask(&self, question: &str, otherwise: bool) -> bool {
        let hint = if otherwise { "[Y/n]" } else { "[y/N]" };
        match &self.person {
            Person::Absent => self.goes_unanswered(question),
            Person::Piped(piped) => match piped.answer() {
                Some(line) => means_yes(line, otherwise),
                None => self.goes_unanswered(question),
            },
            Person::Played(answers) => {
                self.say(&format!("{question} {hint}"));
                held(answers).pop_front().unwrap_or(otherwise)
            }
            Person::There => {
                self.wipe();
                let mut words = held(&self.words);
                write!(words.to, "{} {hint} ", shown(question))
                    .and_then(|()| words.to.flush())
                    .ok();
                let mut answer = String::new();
                match io::stdin().lock().read_line(&mut answer) {
                    // The end of input is no yes.
                    Ok(0) | Err(_) => false,
                    Ok(_) => means_yes(&answer, otherwise),
                }
            }
        }
    }

    fn goes_unanswered(&self, question: &str) -> bool {
        self.say(&format!(
            "{question} Nobody is here to answer, and that is a no. Say it with --yes where nobody can be asked."
        ));
        false
    }
}

/// What a typed line says to a question.
fn means_yes(line: &str, otherwise: bool) -> bool {
    match line.trim().to_lowercase().as_str() {
        "" => otherwise,
        said => matches!(said, "y" | "yes"),
    }
}

/// What a captured console was given.
#[derive(Clone, Default)]
pub struct Captured {
    facts: Arc<Mutex<Vec<u8>>>,
    words: Arc<Mutex<Vec<u8>>>,
}

impl Captured {
    /// Standard output so far.
    pub fn facts(&self) -> String {
        String::from_utf8_lossy(&held(&self.facts)).into_owned()
    }

    /// Standard error so far.
    pub fn words(&self) -> String {
        String::from_utf8_lossy(&held(&self.words)).into_owned()
    }
}

struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        held(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn held<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_out_of_a_pipe_is_a_yes() {
        for (input, otherwise, says_yes) in [
            ("n\nyes\n", true, false),
            ("No\r\n", true, false),
            ("no", true, false),
            ("", true, false),
            ("y\n", false, true),
            ("Yes", false, true),
            ("\n", true, true),
            ("\n", false, false),
            ("a text that is not meant for us\ny\n", true, false),
        ] {
            let (console, captured) = Console::captured_with_pipe(input);
            assert!(!console.is_attended(), "{input:?}");
            for _ in 0..2 {
                assert_eq!(console.ask("sure?", otherwise), says_yes, "{input:?}");
            }
            let is_told = captured.words().contains("with --yes");
            assert_eq!(is_told, input.is_empty(), "{input:?}");
        }
    }

    /// A pipe that stays open and says nothing.
    struct Silent(mpsc::Receiver<()>);

    impl io::Read for Silent {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            self.0.recv().ok();
            Ok(0)
        }
    }

    #[test]
    fn a_silent_pipe_keeps_nobody_waiting() {
        let (open, silent) = mpsc::channel();
        let piped = Piped::new(BufReader::new(Silent(silent)));
        let (told, hears) = mpsc::channel();
        thread::spawn(move || told.send(piped.answer().map(str::to_owned)));
        let said = hears.recv_timeout(PIPE_WAIT * 30);
        assert_eq!(said, Ok(None));
        drop(open);
    }

    #[test]
    fn only_a_yes_is_consent() {
        let (console, captured) = Console::captured(&[true, false]);
        assert!(console.ask("sure?", false));
        assert!(!console.ask("sure?", false));
        assert!(captured.words().contains("[y/N]"), "Enter means no");
    }

    #[test]
    fn a_stranger_steers_no_terminal() {
        let hostile = "a\u{1b}]0;pwned\u{7}\u{1b}[2J\u{9b}31m\u{202e}\u{2066}\rb\tc\nd";
        let (console, captured) = Console::captured(&[true]);
        console.fact(hostile);
        console.say(hostile);
        console.prompt(hostile);
        console.ask(hostile, true);
        let seen = "a\u{fffd}]0;pwned\u{fffd}\u{fffd}[2J\u{fffd}31m\u{fffd}\u{fffd}\u{fffd}b\tc\nd";
        assert_eq!(captured.facts(), format!("{seen}\n"));
        assert_eq!(captured.words(), format!("{seen}\n{seen}{seen} [Y/n]\n"));
        // Programs get all of it, and a terminal that shows it all the same gets none.
        let (console, captured) = Console::captured(&[]);
        console.json(&[hostile]);
        let json = captured.facts();
        assert!(
            !json
                .trim_end()
                .contains(|c: char| c != '\n' && crate::shown::steers(c)),
            "{json:?}"
        );
        let read: Vec<String> = serde_json::from_str(&json).expect("JSON");
        assert_eq!(read, [hostile]);
    }

    #[test]
    fn who_watches_a_line_is_steered_by_it_no_more() {
        let captured = Captured::default();
        let words = Box::new(Shared(Arc::clone(&captured.words)));
        let console = Console::new(Box::new(io::sink()), words, Person::There);
        console.progress("from \u{1b}[2Jfar");
        assert_eq!(captured.words(), "\r\u{1b}[Kfrom \u{fffd}[2Jfar");
    }

    #[test]
    fn facts_and_words_go_apart() {
        let (console, captured) = Console::captured(&[]);
        console.fact("one");
        console.say("on the way");
        console.progress("nobody watches");
        assert_eq!(captured.facts(), "one\n");
        assert_eq!(captured.words(), "on the way\n");
        assert!(!console.ask("sure?", true), "nobody is there");
        let (console, _) = Console::captured(&[false]);
        assert!(!console.ask("sure?", true));
        assert!(console.ask("sure?", true), "answers ran out");
    }
}
