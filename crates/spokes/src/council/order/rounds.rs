//! One answer for many who ask the same.

use std::time::Instant;

/// A question that many ask at once: one answer serves all who asked before it was asked.
#[derive(Debug, Default)]
pub(super) struct Rounds(tokio::sync::Mutex<Option<(Instant, Option<u64>)>>);

impl Rounds {
    pub(super) async fn ask(&self, question: impl Future<Output = Option<u64>>) -> Option<u64> {
        let asked = Instant::now();
        let mut last = self.0.lock().await;
        if let Some((began, said)) = *last
            && began >= asked
        {
            return said;
        }
        let began = Instant::now();
        let said = question.await;
        *last = Some((began, said));
        said
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
        time::Duration,
    };

    use tokio::time::sleep;

    use super::*;

    #[tokio::test]
    async fn one_round_serves_all_who_asked_before_it_began() {
        let (rounds, asked) = (Arc::new(Rounds::default()), Arc::new(AtomicU64::new(0)));
        let ask = || {
            let (rounds, asked) = (Arc::clone(&rounds), Arc::clone(&asked));
            tokio::spawn(async move {
                let question = async {
                    sleep(Duration::from_millis(50)).await;
                    Some(asked.fetch_add(1, Ordering::Relaxed))
                };
                rounds.ask(question).await
            })
        };
        let all: Vec<_> = (0..1_000).map(|_| ask()).collect();
        let mut answers = Vec::new();
        for one in all {
            answers.push(one.await.unwrap());
        }
        // The first asked alone; all others waited for the round behind it.
        assert!(asked.load(Ordering::Relaxed) <= 3, "{asked:?}");
        let later = ask().await.unwrap();
        assert!(
            answers.iter().all(|answer| *answer < later),
            "an old answer is none"
        );
    }
}
