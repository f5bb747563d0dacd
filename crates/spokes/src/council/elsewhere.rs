//! Where else an organizer can say it, when the council node beside him is silent: its index knows the others.

use std::{collections::BTreeMap, net::SocketAddr, path::Path};

use rusqlite::{Connection, OpenFlags};
use spokes_rules::{
    node::Label,
    request::{Ask, CouncilNode, Wish},
};

use crate::{
    client::{self, Client},
    config::CouncilConfig,
    outage::Outage,
    wire::NetworkWire,
};

/// What organizers read where nothing can be put in order.
pub(super) const GONE_FOR_GOOD: &str = "\"spokes council status\" shows who is silent. Start a majority of the council's nodes; where most of them \
     are gone for good, \"spokes council recover\" founds the council anew on one that holds the registry";

/// Says where else it can be said what this silent node should have heard.
pub(super) async fn instead_of(dir: &Path, me: SocketAddr, silent: &Outage) -> Outage {
    let silent = silent.to_string();
    // It may be a whole sentence, which goes on here.
    let silent = silent.trim_end_matches('.');
    let mut asked = false;
    for node in others(dir, me) {
        asked = true;
        if answers(node).await {
            let dir = dir.display();
            return Outage::new(format!(
                "{silent}, and nothing was changed. Start that node with \"spokes council serve --dir {dir}\", or ask \
                 another one: say the same with --network http://{node} in place of --dir {dir}, and where it is an \
                 order with --organizer {dir}/organizer.key, or wherever that key is"
            ));
        }
    }
    let alone = if asked {
        ", and no other node that it knew answers either"
    } else {
        ""
    };
    Outage::new(format!(
        "{silent}{alone}. Nothing was changed; what was registered is safe, and blogs go on. Start it with \"spokes \
         council serve --dir {}\". {GONE_FOR_GOOD}",
        dir.display()
    ))
}

/// The same for whatever failed beside a node; nothing else is said where that node answers.
///
/// # Errors
/// Where it does not.
pub async fn ask_elsewhere<T>(dir: &Path, done: Result<T, Outage>) -> Result<T, Outage> {
    match (done, CouncilConfig::load(dir)) {
        (Err(silent), Ok(config)) if !answers(config.api).await => {
            Err(instead_of(dir, config.api, &silent).await)
        }
        (done, _) => done,
    }
}

async fn answers(node: SocketAddr) -> bool {
    let Ok(client) = Client::new() else {
        return false;
    };
    let network = client.get::<NetworkWire>(client::Ask::new(node, "/api/v1/network"));
    network.await.is_ok_and(|reply| reply.good().is_ok())
}

/// Where the other nodes answered, as far as this one's index knows.
fn others(dir: &Path, me: SocketAddr) -> Vec<SocketAddr> {
    let nodes = nodes(&dir.join("registry.db")).unwrap_or_default();
    let addresses = nodes.into_values().map(|node| node.api.0);
    addresses.filter(|node| *node != me).collect()
}

/// The nodes that stood and were not sent away. The rest of the registry has no say in that, and would take long.
fn nodes(index: &Path) -> Result<BTreeMap<Label, CouncilNode>, Outage> {
    let index = Connection::open_with_flags(index, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let sql = "SELECT request FROM record WHERE request LIKE 'Spokes-Request: 1%Kind: found%' \
               OR request LIKE 'Spokes-Request: 1%Kind: stand%' OR request LIKE 'Spokes-Request: 1%Kind: recover%' \
               OR request LIKE 'Spokes-Request: 1%Kind: unseat%' ORDER BY place";
    let mut found = index.prepare(sql)?;
    let texts = found.query_map([], |row| row.get::<_, String>(0))?;
    let mut nodes = BTreeMap::new();
    let add = |nodes: &mut BTreeMap<Label, CouncilNode>, node: CouncilNode| {
        nodes.insert(node.label.clone(), node);
    };
    for text in texts {
        let Ok(ask) = Ask::parse(text?.as_bytes()) else {
            continue;
        };
        match ask.what {
            Wish::Found(founding) => founding
                .council
                .into_iter()
                .for_each(|node| add(&mut nodes, node)),
            Wish::Stand { node, .. } => add(&mut nodes, node),
            Wish::Recover { council } => {
                nodes.clear();
                council.into_iter().for_each(|node| add(&mut nodes, node));
            }
            Wish::Unseat { label } => drop(nodes.remove(&label)),
            _ => {}
        }
    }
    Ok(nodes)
}
