//! `spokes council caa …`: who may issue certificates for the network's names.

use clap::{ArgGroup, Args, Subcommand};
use spokes_rules::{
    caa::{CAA_MAX, Caa, Tag},
    request::Wish,
};

use super::places::Tell;
use crate::outage::Outage;

#[derive(Debug, Subcommand)]
pub(super) enum CaaCommand {
    /// Says who may issue certificates for the domain and all names below it, in place of what was said before.
    ///
    /// Name every authority from which a server of the network, or its front page, gets its certificates: one that is
    /// not named refuses then. "spokes council status" shows what is said.
    ///
    /// Example: spokes council caa set --issue letsencrypt.org --issuewild ';' --iodef mailto:security@example.org --dir /var/lib/council
    Set(Set),
    /// Takes all of it away: any authority may issue certificates then.
    ///
    /// Example: spokes council caa clear --dir /var/lib/council
    Clear(Tell),
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("rules").required(true).multiple(true).args(["issue", "issuewild", "iodef"])))]
pub(super) struct Set {
    /// An authority, by its domain, that may issue certificates; or ";", nobody. With parameters as "ca.example.net;
    /// account=230123". More than once for several.
    #[arg(long, value_name = "AUTHORITY", value_parser = |text: &str| Caa::new(Tag::Issue, text))]
    issue: Vec<Caa>,
    /// The same for certificates with a wildcard; where it is left out, the others count for these as well.
    #[arg(long, value_name = "AUTHORITY", value_parser = |text: &str| Caa::new(Tag::IssueWild, text))]
    issuewild: Vec<Caa>,
    /// Where authorities say that somebody asked them in vain: mailto:… or https://…
    #[arg(long, value_name = "PLACE", value_parser = |text: &str| Caa::new(Tag::Iodef, text))]
    iodef: Vec<Caa>,
    /// Have authorities refuse that do not know what is said.
    #[arg(long)]
    critical: bool,
    #[command(flatten)]
    tell: Tell,
}

pub(super) async fn run(command: CaaCommand) -> Result<(), Outage> {
    let (rules, tell, said) = match command {
        CaaCommand::Clear(tell) => {
            let said = "Any authority may issue certificates for the network's names.".to_owned();
            (Vec::new(), tell, said)
        }
        CaaCommand::Set(set) => {
            let rules = set.issue.into_iter().chain(set.issuewild).chain(set.iodef);
            let mut rules: Vec<Caa> = rules.collect();
            rules
                .iter_mut()
                .for_each(|rule| rule.critical = set.critical);
            if rules.len() > CAA_MAX {
                return Err(Outage::new(format!(
                    "{} rules were given, the most there can be are {CAA_MAX}; leave some out. Nothing was changed",
                    rules.len()
                )));
            }
            let lines = rules.iter().map(|rule| format!("\n  {rule}"));
            let said = format!(
                "DNS says now of certificates for the network's names:{}",
                lines.collect::<String>()
            );
            (rules, set.tell, said)
        }
    };
    tell.order(Wish::Caa { rules }, &said).await?;
    Ok(())
}
