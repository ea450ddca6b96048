//! Publishing to the topic.

use super::{Notification, Notifier, NotifyError};
use crate::{
    aws::{Aws, AwsError, classify},
    domain::{Arn, Text},
};
use aws_sdk_sns::types::MessageAttributeValue;
use futures::{FutureExt, future::BoxFuture};
use std::sync::Arc;

pub struct SnsNotifier {
    pub aws: Arc<Aws>,
    pub topic: Arn,
}

impl Notifier for SnsNotifier {
    fn publish<'a>(&'a self, notification: &'a Notification) -> BoxFuture<'a, Result<(), NotifyError>> {
        async move {
            const OPERATION: &str = "sns:Publish";
            let mut call = self
                .aws
                .sns()
                .publish()
                .topic_arn(self.topic.as_str())
                .subject(&notification.subject)
                .message(&notification.body);
            for (name, value) in &notification.attributes {
                let attribute = MessageAttributeValue::builder().data_type("String").string_value(value).build();
                let attribute = attribute.map_err(|error| AwsError::Rejected {
                    operation: OPERATION,
                    code: "ConstructionFailure".into(),
                    message: Text::new(&error.to_string()),
                })?;
                call = call.message_attributes(*name, attribute);
            }
            call.send().await.map_err(classify(OPERATION))?;
            Ok(())
        }
        .boxed()
    }
}
