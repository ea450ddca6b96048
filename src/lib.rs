//! # Cordon
//!
//! First responder for AWS accounts. EventBridge hands it findings; it decides how bad each is, contains what is compromised
//! within a handful of round trips, says truthfully what it did, and knows how everything goes back.
//!
//! ## The one idea: a plan is a diff of the account
//!
//! Every action is one typed change of one thing: target, before, after ([`actions::Change`]). `before` is what the survey
//! saw; `after` may be symbolic (`Quarantine`, the empty group of that VPC), so that a plan can be shown and hashed before
//! the thing exists. From that the engine gets everything, once, for every action there will ever be:
//!
//! | question | answer |
//! | --- | --- |
//! | what would you do? | print the plan: it *is* what will be executed |
//! | is it done? | `read() == after`, read again after the change, not inferred from a 200 |
//! | was it already so? | `before == after` when the plan is made: never applied, left alone by release |
//! | did somebody undo it? | a later `read() != after`: say so, contain again |
//! | put it back | restore `before`, only where `read() == after` |
//! | crash in the middle | the journal holds every before and after |
//!
//! ## The flow
//!
//! ```text
//! EventBridge envelope
//!    │ ingest      tolerant reading → Finding (+ gaps) | Record | Evaluation | Change | Alarm | Health | Scan     pure
//!    │ own         a record of our own call ends here               (journal)
//!    │ detect      Record × Sigma rules, counted → Finding          pure      } watch: rules, counters, Config's rule sources
//!    │ triage      Finding → situation, tool or victim, target      pure
//!    │ assess      + policy, time → severity, mode, reasons         pure      } decision
//!    ▼ round 1     claim the target · enter the incident · survey · who are we · the rules in force     one concurrent round
//!    │ playbook    Facts → Plan | Declined                          pure
//!    │ guard       protections, limits, mode → a verdict a step     pure
//!    ▼ round 2     journal every `before` · three rechecks · look around: who depends on the target · take a place of the limits
//!    │ guard       once more, with what was seen around it                pure
//!    ▼ round 3     the cut: all its steps at once                   ← contained here
//!    ▼ round 4     what the cut did not wait for (an instance's session deny)
//!    ▼ round 5     read back, until every step is seen or has failed; journal; then the later stages, each read back
//!    │ investigate what a principal did before, two seconds at most
//!    │ notify      Report → SNS; log; metric; then the lease is given back
//!    ▼ recheck     +5 s, +15 s, +60 s by queue delay: survey again, finish what is half done, contain again what was undone
//!    ▼ sweep       every five minutes until the release: the same; and tell who was not told, ask again who has not answered, compare sensors
//! operator: incidents · show · approve · reject · release · contain · pause · resume · policy · prepare · baseline
//! ```
//!
//! [`analyst`] is everything up to the verdicts and changes nothing; [`responder`] is the whole story; [`engine`] carries
//! plans out and back; [`journal`] is what survives.
//!
//! ## Invariants
//!
//! 1. Nothing changes AWS except [`actions::Action::apply`] and the making of Cordon's own groups, and no change is made before the journal holds its `before`.
//! 2. What a dry run shows is what is executed; a variant is chosen in the plan, from facts, never at the error.
//! 3. Failure keeps what was contained. Nothing unwinds by itself.
//! 4. Guards fail closed, each for the step that it guards.
//! 5. Every event ends in exactly one counted, logged [`domain::Outcome`] with its reasons.
//! 6. Outcomes are read from the account, never inferred. Residual risk is part of them.
//! 7. Every string of an event is the attacker's: parsed by its own grammar before it names anything in a call
//!    ([`domain`]'s ids), never pasted into a policy document, cut and cleaned where people read it ([`domain::Text`]).
//! 8. Cordon never acts on the principal that it runs with.
//! 9. The account to act in is the finding's; principals are matched by unique id, before and after the change.
//! 10. The event function can only tighten.
//! 11. A wrong setting never turns into a default that acts: every invocation fails with all that is wrong.
//!
//! ## Choices made here
//!
//! - The account is learnt from `sts:GetCallerIdentity` in the survey's round, not from the function's ARN, which an
//!   emulator invents. A finding of another account is Declined.
//! - A role's session deny waits for two reads (profile, policy) of which the first is made beside the survey where the
//!   event names the profile. The deny then comes one round after the network cut.
//! - A delivery whose target is contained and where nothing is new ends as Joined; where the survey sees that somebody undid
//!   a step, it is contained again and people are told, however often they were told before.
//! - A user who was renamed is found by his unique id. One who was deleted and made again is a stranger: Declined.
//! - A containment is one item of the table, lease and steps together: one conditional write keeps them true together, and a
//!   claim reads what it claims. Its size is bounded by [`journal::MOST_STEPS`].
//! - A recheck is a delivery without the event: it surveys the target, plans again and holds the plan against the journal.
//!   So finishing after a crash, containing drift again and acting on an approval are one path.
//! - The cut waits up to 30 ms for reads that run beside the journal write, so that an instance's session deny is journalled
//!   beside the cut and goes out one round after it. Where the event does not name the profile, it comes a round later.
//! - What guards must know and takes a round of its own (who depends on an instance) is read beside the journal write. Where it says
//!   that a person must be asked, what was journalled and not begun is taken back, unchanged; what was begun is finished.
//! - Only a release applies a `before`: the contain path refuses it, also for a release that was interrupted.
//! - The passage through the open group is an errand of the step that quarantines an interface: it begins and ends in quarantine, is made
//!   once, and only in the invocation whose rechecks were acknowledged. The open group is made by `cordon prepare`; the function has
//!   no right to open one.
//! - What is released and comes under newer evidence is contained from what is there then; what half a release left in place keeps
//!   its `before`.
//! - A thing that several targets can hold (a session's deny) is a step of each containment; an index says where to look for the
//!   others, and their journals decide. The last one released puts it back.
//! - What the account no longer leads to (a role whose profile was taken off) is read by itself at every look.
//! - Journal and approvals know a user's things by his unique id; every call is tried under the name that he has now.
//! - What goes further than a plan at a cost that only a person can weigh is an offer: its steps are never taken unless an operator approved
//!   them by name and hash. No approval outlives a release, or its time.
//! - A step is contained again three times an hour at most; then it is left to people, who are paged. What is ours and only to be set once
//!   more (a cutoff's second pass, an interface left in the passage) is not counted.
//! - Who changed something is looked up in CloudTrail: at a recheck, so that an operator's own change is his; at a release, so that nothing
//!   is given back to the attacker as he had arranged it. Where CloudTrail does not answer, the first contains again, the second withholds.
//! - From the recheck queue comes an incident's id and nothing else. A recheck never goes beyond today's ceiling and age.
//! - What people are told is told before the lease is given back, so that two deliveries cannot both tell it.
//! - The incident that opened a containment is the one that people know; others join it and hold it with it.
//! - A target that was released is contained again only by evidence that is newer than the release.
//! - An event is judged by the rules that were read last, while the ones in force are read beside the survey; where they differ, the lease
//!   is given back, nothing was changed, and it is judged anew. So the policy costs no round.
//! - Versions of the policy are items that are never changed; the newest that can be read is in force. Where none can, nothing new is done.
//! - Limits are sets of members, taken in the round of the journal write: a repeat takes its own place again. What a person approved takes
//!   none, and what was begun is finished.
//! - Commands that tighten are written down and the responder acts; release is done by the operator function, with its own role. Its caller is
//!   whom STS says that signed for this command; the function sends the signed request itself, to its own endpoint, never to one it is told.
//! - A plan that a person rejected is not done unattended by that incident, whatever changes; another incident is judged by itself.
//! - Without a table the journal lives in memory, so the function refuses every mode but `observe` unless its endpoint is
//!   this machine.
//! - A record of CloudTrail is no finding before rules have seen something in it; they are loaded with the first record, so that a GuardDuty finding
//!   waits for none. What is a finding only if it goes on is counted in the table, in sets, in halves of its window.
//! - The same rule on the same thing by the same caller from the same address is one incident for a day, however often he calls; what opens more is another.
//! - A failed call is an attempt only where the rule says that nobody tries it by chance; denied calls in numbers have a rule of their own. Attempts
//!   are never contained unattended.
//! - CloudTrail, Config and alarms come through a queue, findings of GuardDuty and AWS Health never: the queue that a message came through decides what it may be.
//! - A rule of Config is what its source identifier says. Its first evaluation proves nothing new.
//! - A call is Cordon's own if who called, the incident in the user agent, operation, target and value agree with a step of the journal.
//! - An incident may have several targets ([`decision::Treatment::parts`]): each has its own lease, journal and look, as if it were alone, and people hear of
//!   all of them at once. An approval names the plans that wait: a target whose plan is another by then is asked about again, the others are
//!   contained. Whoever was a target stays one, whatever a later event of the incident names.
//! - A user is his unique id. A change goes to the name that he was found under by the look before it.
//! - Sensors are set back to a baseline and to nothing else: the first sweep takes it, an operator accepts another. What was switched on again is not
//!   switched off by a release; groups and buckets go back. A sweep that finds a sensor silent waits for CloudTrail's word whose doing it is, twenty minutes at most.
//! - What AWS Config says is not contained unattended unless CloudTrail knows who changed it, and he is no operator: neither an old port nor a
//!   release is closed by a rule.
//! - Of leaked keys the event names the key alone: whose it is, IAM says before anything is decided.
//! - `actions` and `survey` are the vocabulary of plans: pure modules may name their data, and can call nothing of them,
//!   because `clippy.toml` lists [`aws::Aws`], which every call needs, among the types that they may not name.

pub mod actions;
pub mod analyst;
pub mod aws;
pub mod cli;
pub mod clock;
pub mod decision;
pub mod detect;
pub mod domain;
pub mod engine;
pub mod entry;
pub mod guard;
pub mod ingest;
pub mod journal;
pub mod metrics;
pub mod notify;
pub mod operator;
pub mod own;
pub mod permissions;
pub mod playbooks;
pub mod policy;
pub mod principal;
pub mod recheck;
pub mod responder;
pub mod rulebook;
pub mod settings;
pub mod survey;
pub mod triage;
pub mod watch;
