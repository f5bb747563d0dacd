//! The way to a council for those who look after a network: which nodes there are, and with which key one speaks.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::Url;
use serde::de::DeserializeOwned;
use spokes_log::{name::Hash, text::Value as _};
use spokes_rules::{
    node::{NodeSecret, Signed},
    request::{Address, Ask, Request as Wanted, Wish},
};

use super::elsewhere;
use crate::{
    client::{self, Client, Reply},
    clock,
    config::{self, CouncilConfig, SpokeConfig},
    outage::Outage,
    wire::{NetworkWire, Problem, RequestWire, TakenWire},
};

/// How often a word that no majority takes is said again, and the pause between: leaders change within two seconds,
/// and the council takes nothing twice.
const ROUNDS: u32 = 6;
const ROUND_PAUSE: Duration = Duration::from_millis(500);

/// A council that can be asked.
#[derive(Debug)]
pub struct Door {
    client: Client,
    /// Its nodes, the nearest first.
    nodes: Vec<SocketAddr>,
    network: Hash,
    domain: String,
    key: Option<NodeSecret>,
}

/// Whose word it is.
#[derive(Clone, Debug)]
pub enum Whose {
    /// Nobody's: it is only looked.
    Nobodys,
    /// An organizer's, with the key in this file; in the council node's directory, if none is named.
    Organizers(Option<PathBuf>),
}

impl Door {
    /// Through the council node in a directory.
    ///
    /// # Errors
    /// When it is silent, or its directory is not one.
    pub async fn of_council(dir: &Path, whose: Whose) -> Result<Self, Outage> {
        let config = CouncilConfig::load(dir)?;
        let key = match whose {
            Whose::Nobodys => None,
            Whose::Organizers(file) => Some(organizer(
                &file.unwrap_or_else(|| dir.join("organizer.key")),
            )?),
        };
        match Self::at(config.api, key).await {
            Ok(door) => Ok(door),
            Err(silent) => Err(elsewhere::instead_of(dir, config.api, &silent).await),
        }
    }

    /// Through any node of a network.
    ///
    /// # Errors
    /// When it is silent, or the address is none.
    pub async fn of_network(url: &str, whose: Whose) -> Result<Self, Outage> {
        let key = match whose {
            Whose::Nobodys => None,
            Whose::Organizers(Some(file)) => Some(organizer(&file)?),
            Whose::Organizers(None) => {
                return Err(Outage::new(
                    "say with --organizer where an organizer's key is; nothing was changed",
                ));
            }
        };
        Self::at(address_of(url).await?, key).await
    }

    /// As the spoke in a directory.
    ///
    /// # Errors
    /// When no council node answers, or the directory is not one.
    pub async fn of_spoke(dir: &Path) -> Result<(Self, String), Outage> {
        let config = SpokeConfig::load(dir)?;
        let secret = config::secret_key(&dir.join("node.key"))?;
        let mut silent = Outage::new("no council node is known");
        for node in &config.council {
            match Self::at(*node, Some(secret.clone())).await {
                Ok(door) => return Ok((door, config.label)),
                Err(outage) => silent = outage,
            }
        }
        Err(silent)
    }

    async fn at(node: SocketAddr, key: Option<NodeSecret>) -> Result<Self, Outage> {
        let client = Client::new()?;
        let ask = client::Ask::new(node, "/api/v1/network");
        let network: NetworkWire = client.get(ask).await?.good()?;
        let strange = |why: &str| Outage::new(format!("{node} is no node of a network: {why}"));
        let mut nodes: Vec<SocketAddr> = Vec::new();
        for seat in &network.council {
            nodes.push(Address::parse(&seat.api).map_err(strange)?.0);
        }
        // The one that was named is asked first, if it is of the council.
        nodes.sort_by_key(|other| *other != node);
        Ok(Self {
            client,
            nodes,
            network: Hash::parse(&network.network).map_err(strange)?,
            domain: network.domain,
            key,
        })
    }

    /// The network's domain.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The network's id.
    pub fn network(&self) -> Hash {
        self.network
    }

    /// Where the council's nodes answer.
    pub fn nodes(&self) -> &[SocketAddr] {
        &self.nodes
    }

    /// Reads from whichever node answers.
    ///
    /// # Errors
    /// When none does, or it refuses.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Outage> {
        let mut silent = Outage::new("the network names no council node");
        for node in &self.nodes {
            match self.get_at(*node, path).await {
                Ok(read) => return Ok(read),
                Err(outage) => silent = outage,
            }
        }
        Err(silent)
    }

    /// Reads from one node.
    ///
    /// # Errors
    /// When it is silent or refuses.
    pub async fn get_at<T: DeserializeOwned>(
        &self,
        node: SocketAddr,
        path: &str,
    ) -> Result<T, Outage> {
        self.client.get(client::Ask::new(node, path)).await?.good()
    }

    /// Says something with this door's key; a refusal is what the registry answered.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn say(
        &self,
        what: Wish,
        statements: Vec<Signed>,
    ) -> Result<Result<TakenWire, Problem>, Outage> {
        let Some(key) = &self.key else {
            return Err(Outage::new(
                "no key was named to sign this with; nothing was changed",
            ));
        };
        let ask = Ask {
            network: Some(self.network),
            time: clock::now(),
            what,
        };
        let request = Wanted {
            statements,
            ..Wanted::plain(Signed::new(key, &ask))
        };
        let wire = RequestWire::from(&request);
        let mut silent = Outage::new("the network names no council node");
        let mut waits: Option<Problem> = None;
        for round in 0..ROUNDS {
            if round > 0 {
                tokio::time::sleep(ROUND_PAUSE).await;
            }
            for node in &self.nodes {
                let to = client::Ask::new(*node, "/api/v1/registry/requests");
                match self.client.post(to, &wire).await {
                    Ok(Reply::Good(taken, _)) => return Ok(Ok(taken)),
                    // Another node may be nearer to a majority; one that holds nothing says least.
                    Ok(Reply::Refused(problem)) if problem.status == 503 => {
                        let says_more = waits.as_ref().is_none_or(|p| p.kind == "empty");
                        if says_more || problem.kind != "empty" {
                            waits = Some(problem);
                        }
                    }
                    Ok(Reply::Refused(problem)) => return Ok(Err(problem)),
                    Err(outage) => silent = outage,
                }
            }
            if waits.is_none() {
                break;
            }
        }
        // Who answers says more than who is silent.
        Err(match waits {
            Some(Problem { kind, detail, .. }) if kind == "no-majority" => {
                Outage::new(format!("{detail} {}", elsewhere::GONE_FOR_GOOD))
            }
            Some(problem) => Outage::new(problem.detail),
            None => Outage::new(format!("{silent}. {}", elsewhere::GONE_FOR_GOOD)),
        })
    }
}

/// An organizer's key; none is made where there is none.
fn organizer(file: &Path) -> Result<NodeSecret, Outage> {
    if !file.exists() {
        return Err(Outage::new(format!(
            "{} is not there; say with --organizer where an organizer's key is. Nothing was changed",
            file.display()
        )));
    }
    config::secret_key(file)
}

/// Where a network's address leads.
async fn address_of(url: &str) -> Result<SocketAddr, Outage> {
    let wrong = |why: &str| {
        Outage::new(format!(
            "--network {url} is no address: {why}. Write it like http://192.0.2.1 or http://192.0.2.1:8080"
        ))
    };
    // Addresses stand everywhere else without it.
    let full = if url.contains("://") {
        url.to_owned()
    } else {
        format!("http://{url}")
    };
    let parsed = Url::parse(&full).map_err(|why| wrong(&why.to_string()))?;
    if parsed.scheme() != "http" {
        return Err(wrong("it begins with http://"));
    }
    let host = parsed.host_str().ok_or_else(|| wrong("it names no host"))?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    // RFC 6761 section 6.3: names below .localhost are this machine.
    let bare = if bare == "localhost" || bare.ends_with(".localhost") {
        "127.0.0.1"
    } else {
        bare
    };
    let port = parsed.port_or_known_default().unwrap_or(80);
    let found = tokio::net::lookup_host((bare, port)).await;
    let mut found = found.map_err(|why| wrong(&why.to_string()))?;
    found.next().ok_or_else(|| wrong("the name has no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_may_stand_as_it_stands_everywhere_else() {
        for (text, address) in [
            ("127.0.91.1:33100", "127.0.91.1:33100"),
            ("127.0.91.1", "127.0.91.1:80"),
            ("http://127.0.91.1:33100/", "127.0.91.1:33100"),
            ("localhost:8080", "127.0.0.1:8080"),
            ("[::1]:8080", "[::1]:8080"),
        ] {
            let read = address_of(text).await.map_err(|why| why.to_string());
            assert_eq!(read, Ok(address.parse().unwrap()), "{text}");
        }
        for text in ["https://127.0.91.1", "http://", "a b", "127.0.91.1:99999"] {
            let why = address_of(text).await.unwrap_err().to_string();
            assert!(why.contains("Write it like http://"), "{text}: {why}");
        }
    }
}
