//! What an author sees: facts on standard output, everything said on the way on standard error.

use std::{
    collections::VecDeque,
    io::{self, BufRead as _, IsTerminal as _, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;

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
    /// Nobody: a script, a pipe.
    Absent,
    /// A test, with answers laid out.
    Played(Mutex<VecDeque<bool>>),
}

impl Console {
    /// The process's own: questions are asked when both standard input and error are a terminal.
    pub fn standard() -> Self {
        let there = io::stdin().is_terminal() && io::stderr().is_terminal();
        let person = if there { Person::There } else { Person::Absent };
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
        self.wipe();
        let mut facts = held(&self.facts);
        // Whoever closed the pipe has read enough; the command's work goes on.
        writeln!(facts, "{line}").and_then(|()| facts.flush()).ok();
    }

    /// Writes facts for programs.
    pub fn json(&self, facts: &impl Serialize) {
        match serde_json::to_string_pretty(facts) {
            Ok(text) => self.fact(&text),
            Err(why) => self.say(&format!("the facts could not be written as JSON: {why}")),
        }
    }

    /// Says something on the way.
    pub fn say(&self, line: &str) {
        self.wipe();
        let mut words = held(&self.words);
        writeln!(words.to, "{line}").ok();
    }

    /// Draws a line that the next one replaces; only where somebody watches.
    pub fn progress(&self, line: &str) {
        if !matches!(self.person, Person::There) {
            return;
        }
        let mut words = held(&self.words);
        write!(words.to, "\r\x1b[K{line}")
            .and_then(|()| words.to.flush())
            .ok();
        words.drawn = true;
    }

    /// Asks for something that is typed behind the words.
    pub(crate) fn prompt(&self, words: &str) {
        self.wipe();
        let mut to = held(&self.words);
        write!(to.to, "{words}").and_then(|()| to.to.flush()).ok();
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
        !matches!(self.person, Person::Absent)
    }

    /// Asks yes or no. Enter, and nobody being there, mean `otherwise`.
    pub fn ask(&self, question: &str, otherwise: bool) -> bool {
        let hint = if otherwise { "[Y/n]" } else { "[y/N]" };
        match &self.person {
            Person::Absent => otherwise,
            Person::Played(answers) => {
                self.say(&format!("{question} {hint}"));
                held(answers).pop_front().unwrap_or(otherwise)
            }
            Person::There => {
                self.wipe();
                let mut words = held(&self.words);
                write!(words.to, "{question} {hint} ")
                    .and_then(|()| words.to.flush())
                    .ok();
                let mut answer = String::new();
                match io::stdin().lock().read_line(&mut answer) {
                    // The end of input is no yes.
                    Ok(0) | Err(_) => false,
                    Ok(_) => match answer.trim().to_lowercase().as_str() {
                        "" => otherwise,
                        said => matches!(said, "y" | "yes"),
                    },
                }
            }
        }
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
    fn facts_and_words_go_apart() {
        let (console, captured) = Console::captured(&[]);
        console.fact("one");
        console.say("on the way");
        console.progress("nobody watches");
        assert_eq!(captured.facts(), "one\n");
        assert_eq!(captured.words(), "on the way\n");
        assert!(console.ask("sure?", true), "nobody is there");
        let (console, _) = Console::captured(&[false]);
        assert!(!console.ask("sure?", true));
        assert!(console.ask("sure?", true), "answers ran out");
    }
}
