//! How a donated server comes in: an invitation, a key of its own, a request to the registry.

use std::{fmt, net::SocketAddr, path::Path};

use spokes_log::{name::Hash, text::Value as _, time::Time};
use spokes_rules::{
    node::{Label, Signed},
    registry::{Record, Registry},
    request::{Address, Ask, Operator, Request, Wish},
};

use crate::{
    client::{self, Client},
    clock,
    config::{self, Ceiling, Floor, SpokeConfig},
    outage::Outage,
    wire::{LogWire, NetworkWire, RequestWire, TakenWire},
};

/// What an organizer gives a donor, in one line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invite {
    /// Where the council's registry answers.
    pub council: SocketAddr,
    /// The network's id.
    pub network: String,
    /// The council's key.
    pub key: String,
    /// Good once.
    pub token: String,
    /// Until when.
    pub expires: Time,
}

impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            council,
            network,
            key,
            token,
            expires,
        } = self;
        write!(
            f,
            "spokes-invite,{council},{network},{key},{token},{expires}"
        )
    }
}

impl Invite {
    /// Reads the line.
    ///
    /// # Errors
    /// Says what an invitation looks like.
    pub fn parse(text: &str) -> Result<Self, Outage> {
        let shape = || {
            Outage::new(
                "this is not an invitation; it is one line that begins with \"spokes-invite,\", ask \
                 an organizer for it",
            )
        };
        let words: Vec<&str> = text.trim().split(',').collect();
        let ["spokes-invite", council, network, key, token, expires] = words[..] else {
            return Err(shape());
        };
        Ok(Self {
            council: council.parse().map_err(|_| shape())?,
            network: Hash::parse(network).map_err(|_| shape())?.to_string(),
            key: key.to_owned(),
            token: token.to_owned(),
            expires: Time::parse(expires).map_err(|_| shape())?,
        })
    }
}

/// How a spoke wants to be known.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its label.
    pub label: Label,
    /// The group that runs it.
    pub operator: Operator,
    /// Where its HTTP listens.
    pub listen: SocketAddr,
    /// Where others reach it.
    pub address: SocketAddr,
    /// Free bytes below which it takes no new blogs.
    pub floor: Floor,
    /// Bytes that it may use.
    pub ceiling: Ceiling,
}

/// Makes the spoke's key, writes its config and asks the registry to take it in.
///
/// Asking again with the same directory is harmless: the key stays.
///
/// # Errors
/// When the council is silent, another one, or refuses.
pub async fn join(dir: &Path, invite: &Invite, wanted: &Wanted) -> Result<(), Outage> {
    let dir = config::make_dir(dir)?;
    let client = Client::new()?;
    let network: NetworkWire = client
        .get(client::Ask::new(invite.council, "/api/v1/network"))
        .await?
        .good()?;
    check_network(&client, invite).await?;
    let secret = config::secret_key(&dir.join("node.key"))?;
    let ask = Ask {
        network: Some(Hash::parse(&invite.network).map_err(Outage::new)?),
        time: clock::now(),
        what: Wish::Join {
            label: wanted.label.clone(),
            operator: wanted.operator.clone(),
            address: Address(wanted.address),
            token: invite.token.clone(),
        },
    };
    let request = Request::plain(Signed::new(&secret, &ask));
    let path = client::Ask::new(invite.council, "/api/v1/registry/requests");
    let _taken: TakenWire = client
        .post(path, &RequestWire::from(&request))
        .await?
        .good()?;
    let council = network
        .council
        .iter()
        .filter_map(|node| node.api.parse().ok())
        .collect();
    SpokeConfig {
        layout: config::LAYOUT,
        label: wanted.label.to_string(),
        listen: wanted.listen,
        network: invite.network.clone(),
        council,
        council_keys: network
            .council
            .iter()
            .map(|node| node.key.clone())
            .collect(),
        base_url: network.base_url,
        disk_floor: wanted.floor.to_string(),
        disk_ceiling: wanted.ceiling.to_string(),
        keep_left: config::usual_keep(),
    }
    .save(&dir)
}

/// Reads entry 0: the network's id is its hash, so nobody can pretend to be this network.
pub(crate) async fn check_network(client: &Client, invite: &Invite) -> Result<(), Outage> {
    let path = "/api/v1/registry/log?after=0";
    let log: LogWire = client
        .get(client::Ask::new(invite.council, path))
        .await?
        .good()?;
    let other = || {
        Outage::new(format!(
            "the server at {} is not the network of this invitation; nothing was sent to it. Ask \
             the organizer",
            invite.council
        ))
    };
    let first: Record = log
        .records
        .first()
        .and_then(|r| r.record().ok())
        .ok_or_else(other)?;
    let registry = Registry::found(&first).map_err(|_| other())?;
    let key = spokes_rules::node::NodeKey::parse(&invite.key).map_err(|_| other())?;
    let same = registry.network().to_string() == invite.network;
    if same && registry.seats().node(key).is_some() {
        Ok(())
    } else {
        Err(other())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation_is_one_line() {
        let invite = Invite {
            council: "127.0.1.1:8080".parse().unwrap(),
            network: Hash::of(b"x").to_string(),
            key: "ed25519:abc".into(),
            token: "0123".into(),
            expires: Time::from_unix(1_795_442_700),
        };
        assert_eq!(Invite::parse(&format!("{invite}\n")).unwrap(), invite);
        for bad in ["", "spokes-invite", "hello,1,2,3,4,5"] {
            assert!(Invite::parse(bad).is_err());
        }
    }
}
