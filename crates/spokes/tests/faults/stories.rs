//! The stories: who is met by what, and what is asked of the network then.

use std::time::Duration;

use crate::{
    network::{Network, Node, Plan},
    world::Cut,
};

/// What happens, to whom, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub(crate) name: &'static str,
    pub(crate) plan: Plan,
    pub(crate) victims: Victims,
    pub(crate) blow: Blow,
    /// How long all is well before.
    pub(crate) before: Duration,
    /// Whether it is over as soon as the network has mended itself.
    pub(crate) ends_early: bool,
    /// How long it stays so at most.
    pub(crate) holds: Duration,
    /// How long it is watched once all is well again.
    pub(crate) after: Duration,
    /// Whether the registry may say of the victims that they are down.
    pub(crate) may_fall: bool,
    /// Whether a majority of a set may be gone: then no new primary can be.
    pub(crate) majority_gone: bool,
}

/// Who is met.
#[derive(Clone, Debug)]
pub(crate) enum Victims {
    /// The primary of the first blog.
    Primary,
    /// It and the first of the secondaries.
    PrimaryAndSecondary,
    /// These.
    Labels(Vec<&'static str>),
}

/// What happens to them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Blow {
    Killed,
    Paused,
    Cut(Cut),
    DiskFull,
    /// Killed and started again at once.
    Restarted,
}

impl Story {
    fn new(name: &'static str, victims: Victims, blow: Blow) -> Self {
        Self {
            name,
            plan: Plan::default(),
            victims,
            blow,
            before: Duration::from_secs(8),
            ends_early: false,
            holds: Duration::from_secs(60),
            after: Duration::from_secs(25),
            may_fall: true,
            majority_gone: false,
        }
    }

    /// A short one, for every day.
    pub(crate) fn shortened(mut self) -> Self {
        self.before = Duration::from_secs(5);
        self.ends_early = true;
        self.holds = Duration::from_secs(32);
        self.after = Duration::from_secs(6);
        self
    }
}

pub(crate) fn primary_killed() -> Story {
    Story::new("primary killed", Victims::Primary, Blow::Killed)
}

pub(crate) fn primary_paused() -> Story {
    Story::new("primary paused", Victims::Primary, Blow::Paused)
}

/// All of them.
pub(crate) fn all() -> Vec<Story> {
    let cut = |name, cut| Story::new(name, Victims::Primary, Blow::Cut(cut));
    let both = Story::new(
        "primary and a secondary of three killed",
        Victims::PrimaryAndSecondary,
        Blow::Killed,
    );
    let of_five = Story {
        name: "primary and a secondary of five killed",
        plan: Plan {
            replicas: 5,
            ..Plan::default()
        },
        ..both.clone()
    };
    let disk = Story {
        plan: Plan {
            small_disk: Some(("b", 48 * 1024)),
            ..Plan::default()
        },
        ..Story::new(
            "a secondary's disk full",
            Victims::Labels(vec!["b"]),
            Blow::DiskFull,
        )
    };
    let operator = Story::new(
        "a whole operator's two spokes killed",
        Victims::Labels(vec!["f", "g"]),
        Blow::Killed,
    );
    let ten = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"].to_vec();
    let restarted = Story {
        plan: Plan {
            operators: vec![1; 11],
            ..Plan::default()
        },
        holds: Duration::from_secs(20),
        may_fall: false,
        ..Story::new(
            "10 spokes restarted together",
            Victims::Labels(ten),
            Blow::Restarted,
        )
    };
    vec![
        primary_killed(),
        primary_paused(),
        cut("primary cut off", Cut::Both),
        cut("primary cut off: hears, is not heard", Cut::Out),
        cut("primary cut off: is heard, does not hear", Cut::In),
        Story {
            majority_gone: true,
            ..both
        },
        of_five,
        disk,
        operator,
        restarted,
    ]
}

impl Blow {
    pub(crate) fn strike(self, network: &Network, victims: &[&Node]) {
        for node in victims {
            match self {
                Self::Killed | Self::Restarted => network.kill(node),
                Self::Paused => network.pause(node),
                Self::Cut(cut) => network.cut(node, cut),
                Self::DiskFull => network.fill(node),
            }
        }
        if matches!(self, Self::Restarted) {
            for node in victims {
                network.begin(node);
            }
        }
    }

    pub(crate) fn heal(self, network: &Network, victims: &[&Node]) {
        for node in victims {
            match self {
                Self::Killed => network.start(node),
                Self::Restarted => {}
                Self::Paused => network.resume(node),
                Self::Cut(_) => network.mend(node),
                Self::DiskFull => network.free(node),
            }
        }
    }
}
