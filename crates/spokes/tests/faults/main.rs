//! What authors and readers meet with when servers die, hang, or are cut off: a whole network of machines
//! with addresses of their own, met with blows, and watched.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

#[path = "../common/mod.rs"]
mod common;
mod network;
mod world;

use std::{net::Ipv4Addr, time::Duration};

use world::{Cut, Machine, World, apart};

#[test]
fn cuts_cut_as_they_say() {
    apart("cuts_cut_as_they_say", Duration::from_secs(60), |_| {
        let machine = |name: &str, last| Machine {
            name: name.to_owned(),
            ip: Ipv4Addr::new(10, 77, 1, last),
        };
        let (oak, elm) = (machine("oak", 1), machine("elm", 2));
        let world = World::new(vec![oak.clone(), elm.clone()]);
        let ways = |world: &World| {
            [world.here(), &elm].map(|other| {
                let out = world.reaches(&oak, other);
                (out, world.reaches(other, &oak))
            })
        };
        assert_eq!(ways(&world), [(true, true); 2]);
        for (cut, way) in [
            (Cut::Both, (false, false)),
            (Cut::Out, (false, true)),
            (Cut::In, (true, false)),
        ] {
            world.cut(&oak, cut);
            assert_eq!(ways(&world), [way; 2], "{cut:?}");
            assert!(world.reaches(world.here(), &elm), "the others are whole");
            world.mend(&oak);
            assert_eq!(ways(&world), [(true, true); 2], "{cut:?}, mended");
        }
    });
}

#[test]
fn a_network_comes_up() {
    apart("a_network_comes_up", Duration::from_secs(120), |home| {
        let network = network::Network::found(home, &network::Plan::default());
        println!("{:?}", network.names());
        network.assert_no_panic();
    });
}
