//! How a donated server comes in: an invitation, a key of its own, a request to the registry.

use std::{fmt, net::SocketAddr, path::Path};

use spokes_log::{
    name::{Hash, Salt},
    text::Value as _,
    time::Time,
};
use spokes_rules::{
    node::{Label, NodeKey, Signed},
    request::{Address, Ask, Operator, Request, Wish},
    seat::Presence,
};

use crate::{
    client::{self, Client},
    clock,
    config::{self, Ceiling, Floor, SpokeConfig},
    outage::Outage,
    wire::{NetworkWire, RequestWire, TakenWire},
};

/// What an organizer gives a donor, in one line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invite {
    /// Where the council's registry answers.
    pub council: SocketAddr,
    /// The network's id.
    pub network: String,
    /// The key of the node there.
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
    let (network, presence) = meet(&client, invite).await?;
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
    SpokeConfig {
        layout: config::LAYOUT,
        label: wanted.label.to_string(),
        listen: wanted.listen,
        network: invite.network.clone(),
        council: presence.council.iter().map(|node| node.api.0).collect(),
        council_keys: presence
            .council
            .iter()
            .map(|node| node.key.to_string())
            .collect(),
        base_url: network.base_url,
        disk_floor: wanted.floor.to_string(),
        disk_ceiling: wanted.ceiling.to_string(),
        keep_left: config::usual_keep(),
    }
    .save(&dir)
}

/// Asks the node that an invitation names who it is. It must sign the answer with the key that the organizer put
/// there, so that nobody else passes for it, whatever he knows of the network.
pub(crate) async fn meet(
    client: &Client,
    invite: &Invite,
) -> Result<(NetworkWire, Presence), Outage> {
    let other = || {
        Outage::new(format!(
            "the server at {} is not the council node that this invitation is from; nothing was sent to it. Ask an \
             organizer for a new invitation: that node may have got another key or address since",
            invite.council
        ))
    };
    let nonce = Salt::from_bytes(config::random_bytes()?);
    let path = format!("/api/v1/network?nonce={nonce}");
    let ask = client::Ask::new(invite.council, &path);
    let network: NetworkWire = client.get(ask).await?.good()?;
    let shown = network.signed.as_ref().ok_or_else(other)?;
    let signed = shown.signed().map_err(|_| other())?;
    let key = NodeKey::parse(&invite.key).map_err(|_| other())?;
    let id = Hash::parse(&invite.network).map_err(|_| other())?;
    let presence = Presence::check(&signed, key, id, nonce).ok_or_else(other)?;
    Ok((network, presence))
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
