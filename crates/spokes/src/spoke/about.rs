//! The page about a blog: who keeps it, and how a reader can know.

use std::{collections::BTreeSet, sync::Arc};

use spokes_log::name::BlogId;
use spokes_rules::{node::Label, registry::BlogRecord, replica::Standing};

use super::{Spoke, pages::timestamp};
use crate::web::{
    message::Message,
    page::{self, Member},
    words::Tongue,
};

impl Spoke {
    /// The members that a blog waits for, without whom the others do not go on by themselves.
    pub(super) fn waited_for(&self, record: &BlogRecord) -> Vec<String> {
        let waits = self.ask(|registry| {
            let waits = registry.waits_for(record).into_iter();
            waits.map(Label::to_string).collect()
        });
        waits.unwrap_or_default()
    }

    /// What a reader is told where nobody shows her a blog.
    pub(super) fn no_holder_answers(&self, tongue: Tongue, record: &BlogRecord) -> Message {
        let (name, domain) = (record.name.as_str(), self.domain());
        match self.waited_for(record).is_empty() {
            true => Message::no_holder_answers(tongue, name),
            false => Message::holders_are_gone(tongue, name, &domain),
        }
    }

    /// Who keeps a blog, how safe it is, and whose words it holds.
    pub(super) fn about(self: &Arc<Self>, blog: BlogId, record: &BlogRecord) -> String {
        let facts = self.with(blog, |replica| {
            let tip = replica.durable_tips().last().copied();
            let standing = tip.map(|tip| replica.standing(tip.id));
            let (is_safe, receipts) = match standing {
                Some(Standing::Safe(receipts)) => (true, receipts),
                Some(Standing::Accepted { receipts, .. }) => (false, receipts),
                _ => (false, Vec::new()),
            };
            let holders: BTreeSet<Label> = receipts
                .into_iter()
                .map(|receipt| receipt.held.spoke)
                .collect();
            let posts = replica.fold().posts();
            let example = posts.iter().find(|post| replica.fold().has_slug(post));
            let example = example.map(|post| page::path(post.article.slug.as_str()));
            (tip.map(|tip| tip.sequence), is_safe, holders, example)
        });
        let (newest, is_safe, holders, example) = facts.unwrap_or_default();
        let operator = |label: &Label| {
            let operator = self.ask(|r| r.spoke(label).map(|spoke| spoke.operator.to_string()));
            operator.flatten().unwrap_or_default()
        };
        let members = record.set.members.iter().map(|label| Member {
            label: label.to_string(),
            operator: operator(label),
            has_newest: holders.contains(label),
        });
        page::about(&page::AboutView {
            network: self.network_view(),
            members: members.collect(),
            since: timestamp(record.since),
            epoch: record.set.epoch,
            newest,
            is_safe,
            user_id: self.user_id(blog, record).unwrap_or_default(),
            example,
            blog: self.blog_view(blog, record),
        })
    }
}
