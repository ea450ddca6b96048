//! Telling people and machines.

mod message;
mod news;
mod sns;

pub use message::Notification;
pub use news::{News, stem, unread};
pub use sns::SnsNotifier;

use futures::future::BoxFuture;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct NotifyError(#[from] pub crate::aws::AwsError);

/// Where notifications go.
pub trait Notifier: Send + Sync {
    fn publish<'a>(&'a self, notification: &'a Notification) -> BoxFuture<'a, Result<(), NotifyError>>;
}
