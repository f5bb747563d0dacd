//! What is in order once the weather has cleared, and what is not yet.

use std::collections::BTreeSet;

use spokes_log::name::BlogId;
use spokes_rules::{
    node::Label,
    registry::{BlogRecord, Registry, Spoke as Known},
    succession::COPIES_MIN,
};

use crate::world::World;

impl World {
    /// What is not in order yet: a text that is not safe, a spoke that is there and counts as silent, a
    /// set that should change or lacks members, or members that hold different entries.
    pub(crate) fn complaint(&self) -> Option<String> {
        if let Some(device) = self.devices.iter().find(|device| !device.is_done()) {
            return Some(device.complaint());
        }
        let registry = self.council.registry();
        let silent = registry.admitted().find(|(label, spoke)| {
            spoke.health.down.is_some() && self.spoke(label).is_some_and(|s| s.is_up())
        });
        if let Some((label, _)) = silent {
            return Some(format!("{label} is there and counts as silent"));
        }
        let wants_to_go = self.spokes.iter().find(|spoke| {
            let known = registry.spoke(spoke.label());
            spoke.leaving
                && spoke.is_up()
                && known.is_some_and(Known::is_admitted)
                && !known.is_some_and(Known::is_leaving)
        });
        if let Some(spoke) = wants_to_go {
            return Some(format!("{} has not said that it leaves", spoke.label()));
        }
        let mut blogs = registry.blogs();
        blogs.find_map(|(id, blog)| {
            let of_set = complaint_of_set(registry, self.hub.clock(0), id, blog);
            of_set.or_else(|| self.complaint_of_copies(registry, id, blog))
        })
    }

    fn complaint_of_copies(
        &self,
        registry: &Registry,
        id: BlogId,
        blog: &BlogRecord,
    ) -> Option<String> {
        let mut seen: Option<usize> = None;
        for label in &blog.set.members {
            let spoke = self.spoke(label)?;
            if spoke.is_dead() {
                return Some(format!("{label} is gone and in the set of {id}"));
            }
            if !registry.holds_blog(blog, label) {
                return Some(format!("{label} does not count as one that holds {id}"));
            }
            let durable = spoke.replica(id).map(|replica| {
                let links = replica.chain().links();
                links.filter(|(id, _)| spoke.disk().holds(*id)).count()
            });
            let all = spoke.replica(id).map(|replica| replica.chain().len());
            if durable != all || seen.is_some_and(|seen| Some(seen) != all) || all.is_none() {
                return Some(format!(
                    "{label} has {durable:?} of {all:?}, others {seen:?} of {id}"
                ));
            }
            seen = all;
        }
        None
    }
}

/// Judged apart from the rule that changes sets, which might be wrong.
fn complaint_of_set(
    registry: &Registry,
    now: spokes_log::time::Time,
    id: BlogId,
    blog: &BlogRecord,
) -> Option<String> {
    if blog.closing.is_some() {
        return Some(format!("epoch {} of {id} stays closed", blog.set.epoch));
    }
    let candidates = registry.candidates();
    if let Some(next) = registry.next_set(now, id, &candidates) {
        return Some(format!("{id} should have the set {next:?}"));
    }
    let fits = |spoke: &Known| spoke.is_well() && !spoke.is_leaving();
    let there: Vec<_> = registry.admitted().filter(|(_, s)| fits(s)).collect();
    let operators: BTreeSet<_> = there.iter().map(|(_, s)| &s.operator).collect();
    let wanted = blog.replicas.unwrap_or(registry.founding().policy.replicas);
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    // Where those that stay are too few for two copies, whoever leaves keeps its own.
    let few = operators.len() < COPIES_MIN.min(wanted);
    let leaves = |label: &Label| registry.spoke(label).is_some_and(Known::is_leaving);
    let members = blog.set.members.iter();
    let members: Vec<&Label> = members.filter(|label| !(few && leaves(label))).collect();
    let (found, all) = (members.len(), operators.len());
    // Where nobody is there who stays, one is left, who may leave.
    let fits_in = match all {
        0 => found <= 1,
        _ => found == wanted.min(all),
    };
    if !fits_in {
        return Some(format!(
            "{id} has {found} of {wanted} members, {all} operators"
        ));
    }
    let operator = |label: &&Label| registry.spoke(label).map(|spoke| &spoke.operator);
    let different: BTreeSet<_> = members.iter().filter_map(operator).collect();
    if different.len() != members.len() {
        return Some(format!("{id} has two members of one operator"));
    }
    let bad = |label: &&&Label| !registry.spoke(label).is_some_and(fits);
    let bad = members.iter().find(bad).filter(|_| !there.is_empty());
    bad.map(|label| format!("{label} is silent, barred or leaving, and in the set of {id}"))
}
