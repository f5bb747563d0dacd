//! Turns at work that is dear: strangers stand in a line, and guests come up one after the other.
//!
//! A line of those who come first would belong to whoever sends most. So whoever waits comes up in
//! turn with the other guests, however many requests one of them has waiting.

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    ops::Bound,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::oneshot;

/// Places to work, and a line before them.
#[derive(Debug)]
pub(crate) struct Turns {
    wait: Duration,
    of_guest_max: usize,
    line: Mutex<Line>,
}

#[derive(Debug)]
struct Line {
    free: usize,
    /// Who waits, by address.
    waiting: BTreeMap<IpAddr, VecDeque<oneshot::Sender<Turn>>>,
    /// Whose turn it was last.
    last: Option<IpAddr>,
}

/// A place to work; dropped, it goes to the next one.
#[derive(Debug)]
pub(crate) struct Turn(Option<Arc<Turns>>);

impl Turns {
    /// So many places; whoever waits does so this long, and of one guest so many requests at a time.
    pub(crate) fn new(places: usize, wait: Duration, of_guest_max: usize) -> Arc<Self> {
        let line = Mutex::new(Line {
            free: places,
            waiting: BTreeMap::new(),
            last: None,
        });
        Arc::new(Self {
            wait,
            of_guest_max,
            line,
        })
    }

    /// A place; none where none came free in time, or where this guest has too many waiting.
    pub(crate) async fn take(self: &Arc<Self>, guest: IpAddr) -> Option<Turn> {
        let called = match self.stand_in_line(guest) {
            Ok(turn) => return Some(turn),
            Err(called) => called?,
        };
        tokio::time::timeout(self.wait, called).await.ok()?.ok()
    }

    /// A place at once, or where to wait to be called; nowhere where the line is full.
    fn stand_in_line(
        self: &Arc<Self>,
        guest: IpAddr,
    ) -> Result<Turn, Option<oneshot::Receiver<Turn>>> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        // Who has hung up or waited long enough is in line no more.
        line.waiting.retain(|_, hers| {
            hers.retain(|call| !call.is_closed());
            !hers.is_empty()
        });
        if line.free > 0 {
            line.free -= 1;
            line.last = Some(guest);
            return Ok(Turn(Some(Arc::clone(self))));
        }
        let hers = line.waiting.entry(guest).or_default();
        if hers.len() >= self.of_guest_max {
            return Err(None);
        }
        let (call, called) = oneshot::channel();
        hers.push_back(call);
        Err(Some(called))
    }

    /// Gives a place to the next guest.
    fn pass_on(self: Arc<Self>) {
        let mut turn = Turn(Some(Arc::clone(&self)));
        loop {
            let next = {
                let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
                let next = line.next();
                if next.is_none() {
                    line.free += 1;
                }
                next
            };
            let Some(call) = next else {
                // It is free, and nobody's.
                turn.0 = None;
                return;
            };
            match call.send(turn) {
                Ok(()) => return,
                // She has hung up: the one behind her.
                Err(back) => turn = back,
            }
        }
    }
}

impl Line {
    /// Whoever is to be called: of the guest behind the one who was called last.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let behind = match self.last {
            Some(last) => Bound::Excluded(last),
            None => Bound::Unbounded,
        };
        let next = self.waiting.range((behind, Bound::Unbounded)).next();
        let guest = *next.or_else(|| self.waiting.iter().next())?.0;
        let hers = self.waiting.get_mut(&guest)?;
        let call = hers.pop_front();
        if hers.is_empty() {
            self.waiting.remove(&guest);
        }
        self.last = Some(guest);
        call
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = self.0.take() {
            turns.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::yield_now;

    use super::*;

    const WAIT: Duration = Duration::from_millis(400);

    fn guest(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    /// So many requests of a guest, each of which writes its number down when its turn comes.
    async fn ask(turns: &Arc<Turns>, who: u8, requests: usize, told: &Arc<Mutex<Vec<u8>>>) {
        for _ in 0..requests {
            let (turns, told) = (Arc::clone(turns), Arc::clone(told));
            tokio::spawn(async move {
                let turn = turns.take(guest(who)).await;
                let said = if turn.is_some() { who } else { 0 };
                told.lock().expect("nobody panicked").push(said);
                yield_now().await;
            });
            yield_now().await;
        }
    }

    fn check(told: &Mutex<Vec<u8>>, expected: &[u8]) {
        assert_eq!(*told.lock().expect("nobody panicked"), expected);
    }

    #[tokio::test]
    async fn guests_come_up_in_turn_however_much_one_asks_for() {
        let (turns, told) = (Turns::new(1, WAIT, 5), Arc::default());
        let first = turns.take(guest(9)).await.expect("it is free");
        ask(&turns, 1, 5, &told).await;
        ask(&turns, 2, 2, &told).await;
        ask(&turns, 3, 1, &told).await;
        drop(first);
        tokio::time::sleep(WAIT / 2).await;
        check(&told, &[1, 2, 3, 1, 2, 1, 1, 1]);
        let line = turns.line.lock().expect("nobody panicked");
        assert_eq!((line.free, line.waiting.len()), (1, 0), "nobody is left");
    }

    #[tokio::test]
    async fn one_guest_has_so_many_in_line_and_nobody_waits_for_ever() {
        let (turns, told) = (Turns::new(2, WAIT, 3), Arc::default());
        let both = [
            turns.take(guest(9)).await.expect("it is free"),
            turns.take(guest(9)).await.expect("it is free"),
        ];
        ask(&turns, 1, 4, &told).await;
        check(&told, &[0]);
        ask(&turns, 2, 1, &told).await;
        check(&told, &[0]);
        tokio::time::sleep(WAIT * 2).await;
        check(&told, &[0; 5]);
        // Those who have gone are passed over, and leave their places to others.
        ask(&turns, 1, 3, &told).await;
        drop(both);
        yield_now().await;
        tokio::time::sleep(WAIT / 2).await;
        check(&told, &[0, 0, 0, 0, 0, 1, 1, 1]);
        assert_eq!(turns.line.lock().expect("nobody panicked").free, 2);
    }

    #[tokio::test]
    async fn a_place_that_was_given_to_one_who_left_is_not_lost() {
        let turns = Turns::new(1, WAIT, 3);
        let only = turns.take(guest(9)).await.expect("it is free");
        let called = turns.stand_in_line(guest(1)).expect_err("she waits");
        let gone = turns.stand_in_line(guest(2)).expect_err("she waits");
        drop(gone);
        drop(only);
        // Called, and never looked.
        drop(called);
        assert!(turns.take(guest(3)).await.is_some());
        assert_eq!(turns.line.lock().expect("nobody panicked").free, 1);
    }
}
