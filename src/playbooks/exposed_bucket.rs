//! Shuts the public out of a bucket that was opened.
//!
//! # What it does
//! Sets the public access block of that one bucket, all four settings. Every call names the account that must own the bucket, and it is
//! touched only if it is in the account's own list and was not made later than two minutes after what was seen. No policy is written, so nobody of the account is locked out.
//! # Fires on
//! GuardDuty's `Policy:S3/` findings that name a bucket; PutBucketPolicy, PutBucketAcl, DeletePublicAccessBlock in CloudTrail; the S3 rules of
//! AWS Config, where somebody was seen to change the bucket within thirty minutes.
//! # Blast radius
//! Anonymous readers and writers of this bucket; accounts that its policy names, where the policy is public as a whole.
//! # Undo
//! `cordon release` puts back the settings that were there, where nobody has changed them since; what somebody opened who was contained
//! himself only with `--force`.
//! # Limits
//! A website, and a bucket that the policy lists in `public-buckets`, needs approval. The policy and the lists that opened it stay: look
//! at them. Access points are told. What a break-glass principal does is only told; what an operator does is asked about. What was read meanwhile is read. The block of a whole account is not changed. Whom a policy names by account is not the public.
//! # References
//! S3 user guide, "Blocking public access to your Amazon S3 storage"; MITRE ATT&CK T1530, T1537.
#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

use super::{Advice, CUT, Case, Plan, PlannedStep, Playbook};
use crate::{
    actions::{AccessBlock, Change},
    domain::{Arn, Outcome, OutcomeKind, Reason, ResidualRisk, Situation, Way},
    policy::Subject,
    survey::Facts,
};

pub struct ExposedBucket;

impl Playbook for ExposedBucket {
    fn id(&self) -> &'static str {
        "exposed-bucket"
    }

    fn situations(&self) -> &'static [Situation] {
        &[Situation::ExposedBucket]
    }

    fn source(&self) -> &'static str {
        include_str!("exposed_bucket.rs")
    }

    fn plan(&self, facts: &Facts, case: &Case<'_>) -> Result<Plan, Outcome> {
        let Facts::Bucket(bucket) = facts else {
            return Err(Outcome::because(OutcomeKind::Declined, "other-target", "the target is no bucket"));
        };
        let (account, name) = (&bucket.access.account, &bucket.access.bucket);
        let arn = Arn::parse(&format!("arn:{}:s3:::{name}", case.partition)).ok();
        let mut subject = Subject::new(account, arn, name.as_str());
        subject.tags = bucket.tags.clone();
        let change = Change { target: bucket.access.clone(), before: bucket.block, after: AccessBlock::WHOLE };
        let mut plan = Plan { steps: vec![PlannedStep::new(CUT, change, &subject)], ..Plan::default() };
        if case.policy.public_buckets.contains(name) {
            let why = format!("the policy says that bucket {name} is public on purpose");
            plan.approval.push(Reason::new("public-on-purpose", why));
        }
        if bucket.is_website {
            plan.approval.push(Reason::new("website", format!("bucket {name} serves a website")));
        }
        let text = "the policy and the access lists that opened it stay, and open it again if the block is lifted";
        plan.residual.push(ResidualRisk { way: Way::Unseen, text: text.to_owned() });
        plan.advice = vec![
            Advice::new(
                "look at what opened it",
                format!("aws s3api get-bucket-policy --bucket {name}; aws s3api get-bucket-acl --bucket {name}"),
            ),
            Advice::new(
                "what was read meanwhile is in the trail only where data events of the bucket are recorded",
                format!("aws s3api get-bucket-logging --bucket {name}"),
            ),
        ];
        Ok(plan)
    }
}
