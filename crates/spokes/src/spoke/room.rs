//! How much room there is here, what the council hears of it, and where newcomers go on.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::available_parallelism,
    time::{Duration, Instant},
};

use http::StatusCode;
use rustix::{
    fs::statvfs,
    time::{ClockId, clock_gettime},
};
use spokes_log::name::BlogName;
use spokes_rules::{
    health::{Load, Takes},
    node::Label,
    request::Wish,
    room::{Disk, Gauge, Marks, with_room},
};

use super::{Spoke, submit::FOLLOW_WAIT};
use crate::{
    client::Reply,
    clock,
    config::SpokeConfig,
    http::{self as web, Response},
    outage::Outage,
    web::desk::DESK,
    wire::{OtherWire, Problem},
};

/// How often disk, work and readers are measured: within it a disk of today takes a few GB at most, and
/// whoever is to be refused or let in is measured for by himself.
const MEASURE_EVERY: Duration = Duration::from_secs(5);
/// What a spoke uses is counted again after so many times as long as it took: a hundredth of one core.
const COUNT_PAUSE: u32 = 100;
/// Others that are named to who finds no room: the first may be silent.
const OTHERS_NAMED: usize = 3;

/// How much room a spoke has.
#[derive(Debug)]
pub(super) struct Room {
    dir: PathBuf,
    floor: Option<u64>,
    ceiling: Option<u64>,
    gauge: Mutex<Gauge>,
    used: Mutex<Used>,
}

/// What the spoke's own files take.
#[derive(Debug, Default)]
struct Used {
    bytes: u64,
    again: Option<Instant>,
}

impl Room {
    /// The room below a directory.
    ///
    /// # Errors
    /// When its limits are none.
    pub(super) fn new(dir: &Path, config: &SpokeConfig) -> Result<Self, Outage> {
        Ok(Self {
            dir: dir.to_owned(),
            floor: config.disk_floor()?,
            ceiling: config.disk_ceiling()?,
            gauge: Mutex::default(),
            used: Mutex::default(),
        })
    }

    fn gauge(&self) -> MutexGuard<'_, Gauge> {
        self.gauge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was taken when it was looked at last.
    pub(super) fn takes(&self) -> Takes {
        self.gauge().takes()
    }

    /// What is taken now.
    pub(super) fn look(&self) -> Takes {
        match self.disk() {
            Ok(disk) => {
                let marks = Marks::of(disk.size, self.floor);
                self.gauge().sees_disk(disk, marks);
            }
            // What is written fails by itself, where it does.
            Err(outage) => tracing::warn!(%outage, "the room on the disk is not known"),
        }
        self.takes()
    }

    /// Tells its operator what has changed, why, and what helps.
    fn say(&self, takes: Takes) {
        let Ok(disk) = self.disk() else { return };
        let (free, floor) = (disk.free, Marks::of(disk.size, self.floor).floor());
        match takes {
            Takes::New => tracing::info!(free, floor, "there is room again: new blogs are taken"),
            Takes::Held => tracing::warn!(
                free,
                floor,
                "less of the disk is free than its floor: no new blogs are taken, and those that are here go on. Make \
                 room, or change disk_floor or disk_ceiling in config.toml; then it takes them again by itself"
            ),
            Takes::Nothing => tracing::warn!(
                free,
                floor,
                "less of the disk is free than an eighth of its floor: nothing is taken any more, and readers get what is \
                 here, which is safe. Make room, or change disk_floor or disk_ceiling in config.toml; then it goes on by \
                 itself"
            ),
        }
    }

    fn disk(&self) -> Result<Disk, Outage> {
        let stat = statvfs(&self.dir)
            .map_err(|e| Outage::file("looking at the disk of", &self.dir, &e.into()))?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        let disk = Disk {
            size: bytes(stat.f_blocks),
            free: bytes(stat.f_bavail),
        };
        Ok(match self.ceiling {
            Some(ceiling) => disk.with_ceiling(ceiling, self.used()),
            None => disk,
        })
    }

    /// What the spoke's own files take; one who waits while another counts gets what it was before.
    fn used(&self) -> u64 {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.again.is_none_or(|again| Instant::now() >= again) {
            let began = Instant::now();
            used.bytes = tokio::task::block_in_place(|| bytes_below(&self.dir));
            used.again = Some(Instant::now() + began.elapsed() * COUNT_PAUSE);
        }
        used.bytes
    }
}

/// The bytes of all files below a directory; those that go meanwhile do not count.
fn bytes_below(dir: &Path) -> u64 {
    let mut sum = 0;
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(facts) = entry.metadata() else {
            continue;
        };
        sum += match facts.is_dir() {
            true => bytes_below(&entry.path()),
            false => facts.len(),
        };
    }
    sum
}

/// The processor's time that this process has used.
#[derive(Clone, Copy)]
struct Work {
    at: Instant,
    used: Duration,
}

impl Work {
    fn now() -> Self {
        let used = clock_gettime(ClockId::ProcessCPUTime);
        Self {
            at: Instant::now(),
            used: Duration::try_from(used).unwrap_or_default(),
        }
    }

    /// Thousandths of all cores that were used since then.
    fn share_since(self, before: Self) -> u64 {
        let cores = available_parallelism().map_or(1, |cores| cores.get() as u128);
        let had = (self.at - before.at).as_micros().saturating_mul(cores);
        let used = self.used.saturating_sub(before.used).as_micros();
        u64::try_from(used * 1_000 / had.max(1)).unwrap_or(1_000)
    }
}

impl Spoke {
    /// Measures for ever, and says what has changed.
    pub(super) async fn watch_room(self: Arc<Self>) {
        let mut followed = self.followed.subscribe();
        // What was said last is compared first: between two marks it holds.
        let told = |spoke: &Self| spoke.ask(|registry| registry.spoke(&spoke.me).map(|s| s.takes));
        while told(&self).flatten().is_none() {
            if followed.changed().await.is_err() {
                return;
            }
        }
        if let Some(said) = told(&self).flatten() {
            self.room.gauge().recall(said);
        }
        let mut said = self.room.takes();
        let (mut work, mut ticks) = (Work::now(), tokio::time::interval(MEASURE_EVERY));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now = Work::now();
            self.room.gauge().sees_work(now.share_since(work));
            work = now;
            let takes = self.room.look();
            if takes != said {
                said = takes;
                self.room.say(takes);
            }
            self.tell_room().await;
            self.tell_readers().await;
        }
    }

    /// Tells the council what has changed, and waits until it is heard of here.
    async fn tell_room(&self) {
        let now = clock::now();
        let tells = self.ask(|registry| {
            let me = registry.spoke(&self.me).filter(|me| me.is_admitted())?;
            self.room.gauge().tells(now, me)
        });
        let Some((load, takes)) = tells.flatten() else {
            return;
        };
        tracing::info!(%load, of = %Load::FULL, %takes, "the council is told how much this spoke has to do, and what it takes");
        let said = self
            .ask_council(
                Wish::Load {
                    label: self.me.clone(),
                    load,
                    takes,
                },
                now,
                Vec::new(),
            )
            .await;
        match said {
            Ok(Reply::Good(taken, _)) => {
                let mut followed = self.followed.subscribe();
                let reached = followed.wait_for(|records| *records > taken.index);
                drop(tokio::time::timeout(FOLLOW_WAIT, reached).await);
            }
            // It is said again with the next measurement.
            Ok(Reply::Refused(problem)) => {
                tracing::debug!(problem.detail, "the load was not taken")
            }
            Err(outage) => tracing::debug!(%outage, "the council did not hear of the load"),
        }
    }

    /// The spokes that have room for a new blog, the best first.
    pub(super) fn others_with_room(&self) -> Vec<Label> {
        let others = self.ask(|registry| {
            let others = with_room(registry, clock::now(), &self.me).into_iter();
            others.take(OTHERS_NAMED).cloned().collect()
        });
        others.unwrap_or_default()
    }

    /// Where a blog begins that somebody asks this spoke for.
    pub(super) fn home_of_new(&self) -> Label {
        let others = match self.room.look() {
            Takes::New => Vec::new(),
            Takes::Held | Takes::Nothing => self.others_with_room(),
        };
        others.into_iter().next().unwrap_or(self.me.clone())
    }

    /// What whoever asks for a new blog hears where there is no room for it, and who has some.
    pub(super) fn no_room_for(&self, name: &BlogName) -> Option<Response> {
        if self.room.look() == Takes::New {
            return None;
        }
        let others: Vec<OtherWire> = self
            .others_with_room()
            .iter()
            .map(|label| OtherWire {
                label: label.to_string(),
                url: format!("{}{DESK}", self.spoke_origin(label)),
            })
            .collect();
        let todo = match others.first() {
            Some(other) => format!(
                "Send it to {}: {}",
                other.label,
                self.spoke_origin_of(other)
            ),
            None => {
                "No other server of this network takes new blogs now; send it again in a day, or \
                     ask its organizers for room"
                    .to_owned()
            }
        };
        let mut response = web::problem(&Problem {
            kind: "no-room".to_owned(),
            title: "no room".to_owned(),
            status: StatusCode::INSUFFICIENT_STORAGE.as_u16(),
            detail: format!(
                "\"{}\" has no room for another blog. \"{name}\" was not asked for, and what you signed \
                 is safe with you and good at every server of this network. {todo}.",
                self.me
            ),
            others: others.clone().into(),
            ..Problem::default()
        });
        let links = others
            .iter()
            .map(|other| format!("<{}>; rel=\"alternate\"", other.url));
        let links = links.collect::<Vec<_>>().join(", ");
        if let Ok(links) = http::HeaderValue::from_str(&links)
            && !links.is_empty()
        {
            response.headers_mut().insert(http::header::LINK, links);
        }
        Some(response)
    }

    fn spoke_origin_of(&self, other: &OtherWire) -> String {
        other
            .url
            .strip_suffix(DESK)
            .unwrap_or(&other.url)
            .to_owned()
    }

    /// What authors hear while nothing is taken at all.
    pub(super) fn takes_nothing(&self) -> Option<Response> {
        (self.room.look() == Takes::Nothing).then(|| {
            web::refuse(
                StatusCode::INSUFFICIENT_STORAGE,
                "full",
                "The disk of this server is full but for what it needs itself, and what you sent was \
                 not kept. What was acknowledged before is safe. Send it again when there is room, or \
                 to another server.",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_its_files_take_counts_against_the_ceiling() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("media")).unwrap();
        let config = |floor: &str, ceiling: &str| SpokeConfig {
            disk_floor: floor.to_owned(),
            disk_ceiling: ceiling.to_owned(),
            ..SpokeConfig::example()
        };
        let room = |floor, ceiling| Room::new(dir.path(), &config(floor, ceiling)).unwrap();
        fs::write(dir.path().join("media/a"), vec![1; 60_000]).unwrap();
        assert_eq!(room("0", "none").look(), Takes::New);
        assert_eq!(room("10 kB", "100 kB").look(), Takes::New);
        fs::write(dir.path().join("b"), vec![1; 35_000]).unwrap();
        assert_eq!(room("10 kB", "100 kB").look(), Takes::Held);
        fs::write(dir.path().join("b"), vec![1; 39_500]).unwrap();
        let full = room("10 kB", "100 kB");
        assert_eq!(full.look(), Takes::Nothing);
        fs::remove_file(dir.path().join("b")).unwrap();
        full.used.lock().unwrap().again = None;
        assert_eq!(full.look(), Takes::New);
        assert!(Room::new(dir.path(), &config("much", "none")).is_err());
    }
}
