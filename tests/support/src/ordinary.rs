//! Ordinary CloudTrail management records: what an account does all day that nobody need be woken for, to measure what noise Cordon makes.
//!
//! Of 100: applications 24 (starts, their own secrets, Decrypt, log streams, pods that sign in), people through Identity Center 12, a scanner's role
//! that another account assumes 12, service-linked roles that look around 10, services that assume roles 7, deployment by OIDC and CloudFormation 5,
//! Terraform 5, own inventory 5, instances that report 5, controllers of a cluster 3, placing of containers 3, scaling and Spot 2, backup 2; rules of
//! Config, nightly jobs, a CI sandbox, events of services, IAM users 4. Some 86 read or come from services, 1 fails. Nothing of it is an attack.
//! Rates follow hour and weekday (UTC): 10,000 are five working days. The tables are text, for `rustfmt` would make a line of each field.

use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, sync::LazyLock};

/// 2026-11-16T00:00:00Z, a Monday.
const START: u64 = 1_794_787_200;
const APPS: [&str; 8] = ["orders", "billing", "catalog", "search", "notify", "reports", "identity", "media"];
const READS: [&str; 8] = ["Describe", "List", "Get", "Lookup", "Batch", "Decrypt", "GenerateDataKey", "AssumeRole"];
const GLOBAL: [&str; 5] = ["iam", "route53", "organizations", "ce", "notifications"];

/// `count` records of one account in the order of their time. The same `seed` gives the same records.
pub fn records(count: usize, seed: u64) -> impl Iterator<Item = Value> {
    let mut ordinary = Ordinary { rng: mix("ordinary", seed), minute: 0, ahead: BTreeMap::new(), planned: 0 };
    std::iter::from_fn(move || ordinary.next()).take(count)
}

/// What names stand for. First who calls: kind, role or user or host, name of the session, address or service that calls for him, agent. Then
/// identities by kind, agents, and parts of parameters, in which `$1` is the first word after the name.
const NAMES: &str = r#"
github web token.actions.githubusercontent.com repo:example/<app>:ref:refs/heads/main 192.0.2.<octet> <actions>
pipeline role deploy-pipeline GitHubActions-<run> 192.0.2.<octet> <cli> ; cfn role cloudformation-execution AWSCloudFormation cloudformation.amazonaws.com
sandbox role ci-sandbox nightly-<run> 192.0.2.<octet> <boto> ; sandboxcfn role ci-sandbox nightly-<run> cloudformation.amazonaws.com
runner lasting ci-runner i-0a4c8f2e6b1d3957e 10.0.12.40 <cli> ; terraform role terraform terraform-<run> 10.0.12.40 <hashicorp>
inventory role security-inventory prowler 10.0.12.40 <boto> ; vendor other scanner posture 198.51.100.40 <go> ; scanner role vendor-scanner posture-scan 198.51.100.40 <go>
adminportal saml AWSSSO <operator> 203.0.113.<octet> <page> ; readerportal saml AWSSSO <visitor> 203.0.113.<octet> <page>
admin role <sso>AdministratorAccess_3f1c9a7be2d04586 <operator> 203.0.113.<octet> <browser>
admincli role <sso>AdministratorAccess_3f1c9a7be2d04586 <operator> 203.0.113.<octet> <cli> ; reader role <sso>ReadOnlyAccess_90b7e1d25c3fa648 <visitor> 203.0.113.<octet> <browser>
hannain login hanna - 203.0.113.24 <page> ; hanna person hanna hanna 203.0.113.24 <browser> ; unknown nobody HIDDEN_DUE_TO_SECURITY_REASONS - 203.0.113.24 <page>
legacy user legacy-reporting - 203.0.113.77 <boto> ; function lasting <app>-fn <app>-fn 10.0.<octet>.17 <lambda> ; fnbylambda lasting <app>-fn <app>-fn lambda.amazonaws.com
task lasting <app>-task <task> 10.0.<octet>.52 <go> ; pods web oidc.eks.eu-west-1.amazonaws.com/id/5C1D0A7E93B2F846 system:serviceaccount:shop:<app> 10.0.<octet>.88 <go>
pod role <app>-pod botocore-session-<run> 10.0.<octet>.88 <go> ; dns lasting external-dns 1763251200512874301 10.0.31.12 <go>
balancer lasting load-balancer-controller 1763251200512874355 10.0.32.14 <go> ; karpenter lasting karpenter-controller 1763251200512874388 10.0.33.9 <go>
certs lasting cert-manager 1763251200512874402 10.0.34.21 <go> ; rotator lasting secret-rotation secret-rotation 10.0.7.19 <lambda>
hours lasting dev-hours dev-hours 10.0.7.44 <lambda> ; rules lasting config-rules config-rules 10.0.7.61 <lambda> ; batch lasting batch-scheduler <task> scheduler.amazonaws.com
agent lasting web-node i-0<octet>c7d1e94b6a2f3 10.0.<octet>.9 <go>
backup lasting service-role/AWSBackupDefaultServiceRole AWSBackup-AWSBackupDefaultServiceRole backup.amazonaws.com
lifecycle lasting service-role/AWSDataLifecycleManagerDefaultRole AWSDataLifecycleManager dlm.amazonaws.com
config linked AWSServiceRoleForConfig AWSConfig-Describe config.amazonaws.com ; advisor linked AWSServiceRoleForTrustedAdvisor TA trustedadvisor.amazonaws.com
hub linked AWSServiceRoleForSecurityHub securityhub securityhub.amazonaws.com ; guard linked AWSServiceRoleForAmazonGuardDuty GuardDuty guardduty.amazonaws.com
explorer linked AWSServiceRoleForResourceExplorer explorer resource-explorer-2.amazonaws.com ; optimizer linked AWSServiceRoleForComputeOptimizer CO compute-optimizer.amazonaws.com
scaling linked AWSServiceRoleForAutoScaling AutoScaling autoscaling.amazonaws.com ; ecs linked AWSServiceRoleForECS ecs-scheduler ecs.amazonaws.com ; !kms event <internal>
record eventVersion="1.11" eventID=<uuid> eventType=AwsApiCall managementEvent=true eventCategory=Management sourceIPAddress="<from>" recipientAccountId="111122223333"
role <session> ; lasting <session> ; linked <session>
session {"type":"AssumedRole","principalId":"<role-id>:<name>","arn":"<arn-of-session>",<here>,"accessKeyId":"<key>"<by>,"sessionContext":{"sessionIssuer":{"type":"Role",
    "principalId":"<role-id>","arn":"<role-arn>",<here>,"userName":"<leaf>"},"attributes":{"creationDate":"<since>","mfaAuthenticated":"false"}}}
user {"type":"IAMUser","principalId":"<user-id>","arn":"<iam>user/<leaf>",<here>,"accessKeyId":"<unique AKIA <leaf>>","userName":"<leaf>"}
person {"type":"IAMUser","principalId":"<user-id>","arn":"<iam>user/<leaf>",<here>,"accessKeyId":"<key>","userName":"<leaf>",
    "sessionContext":{"attributes":{"creationDate":"<since>","mfaAuthenticated":"true"}}}
login {"type":"IAMUser","principalId":"<user-id>","arn":"<iam>user/<leaf>",<here>,"userName":"<leaf>"} ; nobody {"type":"IAMUser",<here>,"accessKeyId":"","userName":"<leaf>"}
service {"type":"AWSService","invokedBy":"<from>"} ; event {<here>,"invokedBy":"<from>"} ; other {"type":"AWSAccount","principalId":"<role-id>:<name>","accountId":"210987654321"}
web {"type":"WebIdentityUser","principalId":"<oidc>:sts.amazonaws.com:<name>","userName":"<name>","identityProvider":"<oidc>"}
saml {"type":"SAMLUser","principalId":"<role-id>:<name>","userName":"<name>","identityProvider":"<role-id>"}
assume {"roleArn":"<role-arn>","roleSessionName":"<name>","durationSeconds":3600}
granted {"credentials":{"accessKeyId":"<key>","sessionToken":"IQoJb3JpZ2luX2VjEXAMPLE"},"assumedRoleUser":{"assumedRoleId":"<role-id>:<name>","arn":"<arn-of-session>"}}
assumed {"resources":[{<here>,"type":"AWS::IAM::Role","ARN":"<role-arn>"}]} ; arn-of-session arn:aws:sts::111122223333:assumed-role/<leaf>/<name>
role-arn <iam>role/<path><principal> ; role-id <unique AROA <leaf>> ; user-id <unique AIDA <leaf>> ; oidc <iam>oidc-provider/<principal> ; iam arn:aws:iam::111122223333:
arn arn:aws:$1:eu-west-1:111122223333: ; sso aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_ ; internal AWS Internal ; here "accountId":"111122223333"
operator <one ann|bela>@example.com ; visitor <one chidi|dora|emre>@example.com ; made <app>-<run>
page <local> userAgent="Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36" ; browser <page> sessionCredentialFromConsole="true"
hashicorp <local> userAgent="APN/1.0 HashiCorp/1.0 Terraform/1.13.3 terraform-provider-aws/6.14.1 aws-sdk-go-v2/1.39.2"
cli <local> userAgent="aws-cli/2.31.4 md/awscrt#0.27.6 ua/2.1 os/linux lang/python#3.13.7"
actions <local> userAgent="aws-sdk-js/3.899.0 lang/js configure-aws-credentials-for-github-actions"
boto <local> userAgent="Boto3/1.40.50 md/Botocore#1.40.50 ua/2.1 os/linux lang/python#3.13.7" ; go <local> userAgent="aws-sdk-go-v2/1.39.2 ua/2.1 os/linux lang/go#1.25.1"
lambda <local> userAgent="Boto3/1.40.4 md/Botocore#1.40.4 os/linux exec-env/AWS_Lambda_python3.13"
local tlsDetails={"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256"}
trust <text {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"$1.amazonaws.com"},"Action":"sts:AssumeRole"}]}>
service-role {"roleName":"$1","path":"/","assumeRolePolicyDocument":<trust $2>} ; awsrole arn:aws:iam::aws:policy/service-role/$1
allow policyDocument=<text {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[$1],"Resource":"$2"}]}> ; grant roleName=$1 policyName=access <allow $2 $3>
own <text {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"<iam>root"},"Action":"kms:*","Resource":"*"}]}>
tls {"Version":"2012-10-17","Statement":[{"Sid":"TlsOnly","Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::example-<made>",
    "arn:aws:s3:::example-<made>/*"],"Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}
invoke {"statementId":"<run>","action":"lambda:InvokeFunction","principal":"$1.amazonaws.com","sourceArn":"$2"}
open {"groupId":"sg-$1","ipPermissions":{"items":[{"ipProtocol":"tcp","fromPort":$2,"toPort":$2,"groups":{},"ipRanges":{"items":[{"cidrIp":"$3"}]}}]}}
between {"groupId":"sg-$1","ipPermissions":{"items":[{"ipProtocol":"tcp","fromPort":$2,"toPort":$2,"groups":{"items":[{"groupId":"sg-$3"}]},"ipRanges":{}}]}}
bucket {"bucketName":"$1","Host":"$1.s3.eu-west-1.amazonaws.com"} ; data <bucket example-<some>-data> ; new <bucket example-<made>> ; filter {"maxResults":1000,"filterSet":{}}
set {"items":[{"$1":"$2"}]} ; tag {"items":[{"key":"$1","value":"$2"}]} ; machine {"instancesSet":<set instanceId i-$1>}
launch {"instancesSet":{"items":[{"imageId":"ami-<id image>","minCount":1,"maxCount":$2}]},"instanceType":"$1","subnetId":"subnet-<id net>",
    "userData":"\u003csensitiveDataRemoved\u003e"}
launched {"reservationId":"r-<x>","instancesSet":{"items":[{"instanceId":"i-<a>","instanceState":{"code":0,"name":"pending"}}]}}
targets {"targetGroupArn":"<arn elasticloadbalancing>targetgroup/<app>","targets":[{"id":"10.0.<octet>.<n 250>","port":8080}]}
change {"hostedZoneId":"Z<id zone>","changeBatch":{"changes":[{"action":"$1","resourceRecordSet":{"type":"$2","name":"$3"}}]}}
signedin {"eventType":"AwsConsoleSignIn","additionalEventData":{"LoginTo":"https://console.aws.amazon.com/","MobileVersion":"No","MFAUsed":"$1"}}
keyed {"resources":[{<here>,"type":"AWS::KMS::Key","ARN":"<kms>"}]} ; reported {"eventType":"AwsServiceEvent","serviceEventDetails":$1}
denied {"errorCode":"$1","errorMessage":"User is not authorized to perform this operation."} ; failed {"errorCode":"$1","errorMessage":"$2 $3"}
old-key userName=<leaf> accessKeyId=<unique AKIA <leaf>>
"#;

/// When what happens: so many times a day, or then (each so many days + from which). In parts: actor, calls, how many (`all`: each with its chance,
/// in order), about how many seconds between two.
const PLANS: &str = "
office 4.5 | github web all 1 | pipeline changes all 6 | cfn update all 4 | pipeline settled all 9 ; office 4 | github web all 1 | pipeline image all 3 ; always 5 | hub reads 2-6 1
office 1.8 | github web all 1 | pipeline changes all 6 | cfn stack all 5 | pipeline settled all 9 | task parameters all 9 ; 28+2 09:40 | legacy rotate-key all 150
office 1.4 | github web all 1 | pipeline changes all 6 | cfn network all 5 | cfn storage all 4 | pipeline settled all 9 ; 1+0 05:20 | legacy report all 20
office 1.6 | runner chain all 1 | terraform refresh 40-80 1 | terraform apply all 4 ; office 1.2 | admincli console 4-15 20 | admincli session all 240
office 5 | adminportal saml all 1 | admin sign-in all 1 | admin console 12-40 15 | admin chores 0-2 60 ; always 60 | agent instance all 1 ; always 55 | task secrets 1-2 1
office 5 | readerportal saml all 1 | reader sign-in all 1 | reader widgets all 0 | reader console 8-30 15 ; always 30 | @ec2 assume all 0 | agent instance all 9
2+1 08:40 | unknown no-user all 0 | hannain mistyped all 9 | hannain sign-in-mfa all 9 | hanna console 4-10 20 ; always 22 | @config assume all 0 | config reads 0-3 1
3+1 13:25 | adminportal saml all 1 | admin sign-in all 1 | admin console 4-9 12 | admin role-by-hand all 40 ; always 6 | @trustedadvisor assume all 0 | advisor reads 1-8 1
4+2 03:35 | adminportal saml all 1 | admin sign-in all 1 | admin console 8-14 8 | admin ticket all 900 ; always 40 | pods web all 0 | pod secrets 0-3 5
always 58 | @lambda assume all 0 | fnbylambda decrypt all 0 | function cold all 1 | fnbylambda interface all 5 ; always 15 | dns records all 1 ; always 12 | balancer targets 1-3 1
always 17 | ecs place all 3 | @ecs-tasks assume all 1 | task pull all 1 | task secrets 1-3 1 | task started all 1 ; always 9 | scaling scale all 4 ; always 4 | karpenter spot all 5
1+0 14:05 | !ec2 evicted all 0 ; always 8 | config reads 3-10 1 ; always 5 | guard reads 2-5 1 ; always 5 | explorer reads 3-6 1 ; always 2 | optimizer reads 3-6 1
always 10 | rules evaluations all 2 ; 1+0 04:10 | lifecycle volumes 6-14 6 ; 1+0 01:00 | !backup jobs 3-6 20 | @backup assume all 1 | backup backups 16-28 25 | !backup jobs 3-6 30
1+0 02:00 | @scheduler assume all 1 | batch nightly 6-14 40 ; 3+0 03:05 | certs renewal all 15 ; workdays 06:00 | @lambda assume all 1 | hours start all 1
1+0 02:30 | github web all 1 | sandbox create all 5 | sandboxcfn sandbox all 6 | sandbox remove all 8 ; workdays 19:00 | @lambda assume all 1 | hours stop all 1
6+3 11:15 | !kms rotated all 0 ; 2+0 23:10 | !secretsmanager rotation all 1 | @lambda assume all 0 | rotator rotate all 2 ; 1+0 16:45 | vendor assume all 1 | scanner reads 40-70 1
1+0 07:15 | vendor assume all 1 | scanner reads 120-190 1 | scanner gaps 2-6 20
1+0 00:30 | runner chain all 1 | inventory inventory all 1 | inventory reads 60-100 1 | inventory gaps 0-3 5
";

/// Calls by name: weight or chance (100), service (`@` region), names, parameters; then `=>` answer, `++` other members of the record.
const CALLS: &str = r#"
= assume sts:AssumeRole <next assume> => <next granted> ++ <next assumed> sharedEventID=<uuid> ; = chain sts:AssumeRole <next assume> => <next granted> ++ <next assumed>
= web sts:AssumeRoleWithWebIdentity <next assume> => <next granted> ++ <next assumed> ; = saml sts:AssumeRoleWithSAML <next assume> => <next granted> ++ <next assumed>
= sign-in signin:ConsoleLogin => ConsoleLogin=Success ++ <signedin No> ; = sign-in-mfa signin:ConsoleLogin => ConsoleLogin=Success ++ <signedin Yes>
= no-user 40 signin:ConsoleLogin => ConsoleLogin=Failure ++ <signedin No> errorMessage="No username found in supplied account"
= mistyped 90 signin:ConsoleLogin => ConsoleLogin=Failure ++ <signedin No> errorMessage="Failed authentication"
30 signin:ConsoleLogin => ConsoleLogin=Failure ++ <signedin Yes> errorMessage="Failed authentication" ; = settled cloudformation:DescribeStacks,DescribeStackEvents stackName=<app>
= changes cloudformation:CreateChangeSet stackName=<app> changeSetName=deploy-<run> capabilities=["CAPABILITY_IAM"] roleARN=<iam>role/cloudformation-execution
cloudformation:DescribeChangeSet,DescribeStacks,ExecuteChangeSet stackName=<app> changeSetName=deploy-<run> ; = start ec2:DescribeInstances,StartInstances <machine <id dev>>
= update 90 lambda:UpdateFunctionCode20150331v2 functionName=<app>-fn s3Bucket=example-deploy s3Key=<run>.zip
45 lambda:UpdateFunctionConfiguration20150331v2 functionName=<app>-fn role=<iam>role/<app>-fn memorySize=512 environment={}
25 iam:PutRolePolicy <grant <app>-fn "dynamodb:GetItem","dynamodb:Query" <arn dynamodb>table/<app>>
10 lambda:AddPermission20150331v2 functionName=<app>-fn <invoke apigateway <arn execute-api><app>/*>
8 lambda:AddPermission20150331v2 functionName=<app>-fn <invoke s3 arn:aws:s3:::example-<app>-data>
35 ecs:RegisterTaskDefinition family=<app> executionRoleArn=<iam>role/ecs-execution taskRoleArn=<iam>role/<app>-task cpu="512"
35 ecs:UpdateService cluster=prod service=<app> taskDefinition=<arn ecs>task-definition/<app>:<n 90> ; = instance ssm:UpdateInstanceInformation instanceId=<name> agentStatus=Active
= stack iam:CreateRole <service-role <made> lambda> ; iam:AttachRolePolicy roleName=<made> policyArn=<awsrole <one AWSLambdaBasicExecutionRole|AWSLambdaVPCAccessExecutionRole>>
iam:PutRolePolicy <grant <made> "s3:GetObject","s3:PutObject" arn:aws:s3:::example-<app>/*> ; 20 iam:PutRolePolicy <grant <made> "iam:PassRole" <iam>role/<app>-task>
logs:CreateLogGroup logGroupName=/aws/lambda/<made> ; logs:PutRetentionPolicy logGroupName=/aws/lambda/<made> retentionInDays=30
lambda:CreateFunction20150331 functionName=<made> runtime=nodejs22.x role=<iam>role/<made> environment={}
70 lambda:AddPermission20150331v2 functionName=<made> <invoke events <arn events>rule/<made>> ; 50 events:PutRule name=<made> scheduleExpression="rate(5 minutes)"
50 events:PutTargets rule=<made> ; 40 lambda:DeleteFunction20150331 functionName=<app>-old ; 40 logs:DeleteLogGroup logGroupName=/aws/lambda/<app>-old
40 iam:DeleteRole roleName=<app>-old ; = image ecr:GetAuthorizationToken ; ecr:BatchCheckLayerAvailability,InitiateLayerUpload,CompleteLayerUpload,PutImage repositoryName=<app>
= network ec2:CreateSecurityGroup groupName=<made> groupDescription=<app> vpcId=vpc-<id vpc> => groupId=sg-<a> ; ec2:AuthorizeSecurityGroupIngress <between <a> 8080 <id lb>>
40 ec2:AuthorizeSecurityGroupIngress <open <a> 8080 10.0.0.0/8> ; 15 ec2:AuthorizeSecurityGroupIngress <open <id lb> 443 0.0.0.0/0> ; iam:CreateRole <service-role <made> ecs-tasks>
iam:AttachRolePolicy roleName=<made> policyArn=<awsrole AmazonECSTaskExecutionRolePolicy> ; 30 acm:RequestCertificate domainName=<app>.example.com
= storage s3:CreateBucket <new> ; s3:PutBucketEncryption <new> ServerSideEncryptionConfiguration={"Rule":{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"aws:kms"}}}
s3:PutBucketPublicAccessBlock <new> PublicAccessBlockConfiguration={"RestrictPublicBuckets":true,"BlockPublicPolicy":true,"BlockPublicAcls":true,"IgnorePublicAcls":true}
s3:PutBucketPolicy <new> bucketPolicy=<tls> ; 40 kms:CreateKey policy=<own> description=<app> keyUsage=ENCRYPT_DECRYPT keySpec=SYMMETRIC_DEFAULT origin=AWS_KMS
30 kms:PutKeyPolicy keyId=<kms> policyName=default policy=<own> bypassPolicyLockoutSafetyCheck=false ; = evicted 60 ec2:BidEvictedEvent ++ <reported {"instanceIdSet":["i-<a>"]}>
= refresh 9 ec2:DescribeSecurityGroups,DescribeSecurityGroupRules,DescribeVpcs,DescribeSubnets,DescribeInstances <filter> ; 4 monitoring:DescribeAlarms alarmNames=["<some>-errors"]
9 iam:GetRole,ListRolePolicies,ListAttachedRolePolicies roleName=<some>-task ; 5 iam:GetPolicy,GetPolicyVersion policyArn=<iam>policy/<some> ; 5 logs:DescribeLogGroups
4 s3:GetBucketPolicy,GetBucketVersioning,GetBucketEncryption,GetBucketPublicAccessBlock,GetBucketAcl <data> ; 6 kms:DescribeKey,GetKeyPolicy,GetKeyRotationStatus keyId=<kms>
6 lambda:GetFunction20150331v2 functionName=<some>-fn ; = ticket ec2:AuthorizeSecurityGroupIngress,RevokeSecurityGroupIngress <open <id db> 5432 10.8.0.0/16>
= apply 45 ec2:AuthorizeSecurityGroupIngress <between <id db> 5432 <id svc>> ; 35 ec2:RevokeSecurityGroupIngress <open <id db> 5432 10.0.0.0/8>
8 ec2:AuthorizeSecurityGroupIngress <open <id lb> 443 0.0.0.0/0> ; 12 ec2:DeleteSecurityGroup groupId=sg-<a>
8 ec2:DeleteSecurityGroup groupId=sg-<b> ++ <failed Client.DependencyViolation resource sg-<b> has a dependent object>
60 ec2:CreateTags resourcesSet=<set resourceId i-<id web>> tagSet=<tag cost-center web> ; 25 ec2:ModifyInstanceAttribute instanceId=i-<id web> groupSet=<set groupId sg-<id svc>>
15 ec2:ModifyInstanceAttribute instanceId=i-<id web> disableApiTermination={"value":true} ; 12 ec2:CreateSnapshot volumeId=vol-<id data>
40 iam:CreatePolicyVersion policyArn=<iam>policy/<app> <allow "sqs:SendMessage" <arn sqs><app>> setAsDefault=true
25 iam:PutRolePolicy <grant <app>-task "sqs:SendMessage","sqs:ReceiveMessage" <arn sqs><app>> ; 25 iam:DeletePolicyVersion policyArn=<iam>policy/<app> versionId=v<n 9>
8 iam:UpdateAssumeRolePolicy roleName=<app>-task policyDocument=<trust ecs-tasks> ; 8 monitoring:DeleteAlarms alarmNames=["<app>-old"]
50 monitoring:PutMetricAlarm alarmName=<app>-errors threshold=5 ; = report s3:ListBuckets ; athena:StartQueryExecution,GetQueryResults workGroup=reports
= console 12 ec2:DescribeInstances,DescribeInstanceStatus,DescribeVolumes,DescribeSecurityGroups,DescribeVpcs,DescribeTags <filter> ; 4 logs:StartQuery logGroupName=/ecs/<some>
6 monitoring:DescribeAlarms,ListMetrics,GetDashboard,DescribeAlarmHistory ; 8 logs:DescribeLogGroups,DescribeLogStreams,GetQueryResults logGroupName=/ecs/<some>
5 lambda:ListFunctions20150331,GetFunction20150331v2,GetPolicy20150331v2 functionName=<some>-fn ; 5 ecs:ListClusters,ListServices,DescribeServices,DescribeTasks cluster=prod
5 s3:ListBuckets,GetBucketLocation,GetBucketVersioning,GetBucketPolicyStatus <data> ; 4 iam:ListRoles,GetRole,ListRolePolicies,ListUsers roleName=<some>-task
4 cloudformation:ListStacks,DescribeStackEvents stackName=<some> ; 3 cloudtrail:LookupEvents maxResults=50
1 iam:GetRole roleName=<some>-old ++ <failed NoSuchEntityException The role with name <some>-old cannot be found.>
1 logs:StartQuery logGroupName=/ecs/<some> ++ <failed ValidationException Value at 'startTime' failed to satisfy constraint>
= widgets 22 ce:GetCostAndUsage,GetCostForecast ++ <denied AccessDenied> ; 12 secretsmanager:ListSecrets ++ <denied AccessDenied>
20 notifications:ListNotificationHubs ++ <denied AccessDeniedException> ; = pull ecr:GetAuthorizationToken ; ecr:BatchGetImage,GetDownloadUrlForLayer repositoryName=<app>
= chores 3 ec2:RunInstances <launch t3.<one micro|small|medium> 1> keyName=team => <launched> ; 5 ec2:StopInstances <machine <id dev>> ; 2 ec2:TerminateInstances <machine <b>>
3 ec2:StartInstances <machine <id dev>> ; 4 ecs:UpdateService cluster=prod service=<app> forceNewDeployment=true ; 2 secretsmanager:GetSecretValue secretId=<secret>
4 autoscaling:SetDesiredCapacity autoScalingGroupName=<app> desiredCapacity=<n 6> ; 2 monitoring:DisableAlarmActions alarmNames=["<app>-errors"]
= session 60 ssm:StartSession target=i-<id web> => sessionId=<name>-<run> tokenValue="Value hidden due to security reasons." ; 60 ssm:TerminateSession sessionId=<name>-<run>
= role-by-hand iam:GetRolePolicy roleName=<app>-task policyName=data ; iam:PutRolePolicy <grant <app>-task "s3:GetObject","s3:ListBucket" arn:aws:s3:::example-<app>-data/*>
= rotate-key iam:ListAccessKeys userName=legacy-reporting ; iam:CreateAccessKey userName=legacy-reporting => accessKey={"userName":"<leaf>","accessKeyId":"<unique AKIA new>"}
iam:UpdateAccessKey <old-key> status=Inactive ; iam:DeleteAccessKey <old-key> ; = started logs:CreateLogStream logGroupName=/ecs/<app> logStreamName=<app>/<task>
= decrypt kms:Decrypt encryptionContext={"aws:lambda:FunctionArn":"<arn lambda>function:<app>-fn"} ++ <keyed> ; = stop ec2:DescribeInstances,StopInstances <machine <id dev>>
= cold logs:CreateLogStream logGroupName=/aws/lambda/<app>-fn logStreamName=[$LATEST]<a> ; 30 secretsmanager:GetSecretValue secretId=<secret>
25 kms:GenerateDataKey keyId=<kms> keySpec=AES_256 ++ <keyed> ; = parameters ssm:GetParametersByPath path=/<app>/prod recursive=true withDecryption=true
= interface 12 ec2:CreateNetworkInterface subnetId=subnet-<id net> groupSet=<set groupId sg-<id svc>> ; 10 ec2:DeleteNetworkInterface networkInterfaceId=eni-<b>
= place ec2:CreateNetworkInterface subnetId=subnet-<id net> groupSet=<set groupId sg-<id svc>> ; 75 elasticloadbalancing:RegisterTargets,DeregisterTargets <targets>
70 ec2:DeleteNetworkInterface networkInterfaceId=eni-<b> ; = rotated kms:RotateKey ++ <reported {"keyId":"<kms>","rotationType":"AUTOMATIC"}> <keyed>
= secrets 6 secretsmanager:GetSecretValue secretId=<secret> versionStage=AWSCURRENT ; 4 kms:Decrypt encryptionContext={"SecretARN":"<arn secretsmanager>secret:<secret>"} ++ <keyed>
= records route53:ListHostedZones,ListResourceRecordSets hostedZoneId=Z<id zone> ; 15 route53:ChangeResourceRecordSets <change UPSERT A <app>.example.com>
= targets 5 elasticloadbalancing:DescribeLoadBalancers,DescribeTargetGroups,DescribeTargetHealth,DescribeRules ; 3 elasticloadbalancing:RegisterTargets,DeregisterTargets <targets>
= scale 55 ec2:RunInstances <launch m6i.large <n 6>> launchTemplate={"launchTemplateId":"lt-<id lt>","version":"7"} => <launched> ; 55 ec2:DescribeInstances <filter>
50 elasticloadbalancing:RegisterTargets,DeregisterTargets <targets> ; 50 ec2:TerminateInstances <machine <b>>
= spot ec2:DescribeSpotPriceHistory <filter>
20 ec2:CreateFleet CreateFleetRequest={"DryRun":true} ++ <failed Client.DryRunOperation Request would have succeeded, but DryRun flag is set.>
70 ec2:CreateFleet CreateFleetRequest={"Type":"instant","TargetCapacitySpecification":{"TotalTargetCapacity":<n 3>,"DefaultTargetCapacityType":"spot"}}
60 ec2:TerminateInstances <machine <b>> ; = volumes 5 ec2:CreateSnapshot volumeId=vol-<x> ; 4 ec2:DeleteSnapshot snapshotId=snap-<x> ; 4 ec2:DescribeSnapshots <filter>
= reads 14 ec2:DescribeInstances,DescribeSecurityGroups,DescribeVolumes,DescribeSnapshots,DescribeFlowLogs <filter> ; 3 guardduty:ListDetectors,GetDetector
8 iam:ListRoles,ListUsers,ListPolicies,GetAccountSummary,GetAccountPasswordPolicy ; 8 iam:GetRole,ListRolePolicies,ListAttachedRolePolicies,GetRolePolicy roleName=<some>-task
7 s3:GetBucketAcl,GetBucketPolicyStatus,GetBucketEncryption,GetBucketPublicAccessBlock,GetBucketLogging <data> ; 5 rds:DescribeDBInstances,DescribeDBSnapshots
2 s3:GetBucketPolicy <data> ++ <failed NoSuchBucketPolicy The bucket policy does not exist> ; 5 lambda:ListFunctions20150331,GetPolicy20150331v2 functionName=<some>-fn
5 kms:ListKeys,DescribeKey,GetKeyRotationStatus,GetKeyPolicy keyId=<kms> ; 2 secretsmanager:ListSecrets,DescribeSecret secretId=<secret> ; 4 cloudtrail:DescribeTrails
3 config:DescribeConfigurationRecorderStatus ; 3 elasticloadbalancing:DescribeLoadBalancers ; 3 autoscaling:DescribeAutoScalingGroups
= gaps 4 s3:GetBucketPolicy <data> ++ <denied AccessDenied> ; 3 kms:GetKeyPolicy keyId=<kms> ++ <denied AccessDeniedException>
3 ec2:GetEbsEncryptionByDefault ++ <denied Client.UnauthorizedOperation> ; 3 ssm:GetDocument name=SSM-SessionManagerRunShell ++ <denied AccessDeniedException>
= evaluations 60 config:StartConfigRulesEvaluation configRuleNames=["restricted-ports"] ; ec2:DescribeSecurityGroups <filter>
config:PutEvaluations evaluations=[{"complianceResourceId":"sg-<id svc>","complianceType":"COMPLIANT"}] testMode=false
= jobs 5 backup:BackupJobStarted,BackupJobCompleted ++ <reported {"backupJobId":"<uuid>","resourceType":"EBS"}>
2 backup:BackupDeleted ++ <reported {"recoveryPointArn":"arn:aws:ec2:eu-west-1::snapshot/snap-<x>"}>
= backups 8 ec2:CreateSnapshot volumeId=vol-<x> ; 4 ec2:CreateImage instanceId=i-<x> name=AwsBackup_<uuid> noReboot=true ; 7 ec2:DeleteSnapshot snapshotId=snap-<x>
3 backup:StartBackupJob resourceArn=<arn ec2>volume/vol-<x> iamRoleArn=<role-arn> ; 5 backup:DeleteRecoveryPoint recoveryPointArn=arn:aws:ec2:eu-west-1::snapshot/snap-<x>
4 ec2@eu-central-1:CopySnapshot sourceRegion=eu-west-1 sourceSnapshotId=snap-<x> encrypted=true ; 4 ec2:DeregisterImage imageId=ami-<x>
4 rds:CreateDBSnapshot,DeleteDBSnapshot dBSnapshotIdentifier=awsbackup:<uuid> ; 9 ec2:DescribeSnapshots,DescribeVolumes <filter>
= nightly 5 ecs:RunTask cluster=prod taskDefinition=<some>-nightly count=<n 4> launchType=FARGATE
5 batch:SubmitJob jobName=nightly-<some> jobQueue=nightly jobDefinition=<some>:<n 40>
= create s3:CreateBucket <bucket sandbox-<run>> ; dynamodb:CreateTable tableName=sandbox-<run> ; sqs:CreateQueue queueName=sandbox-<run>
cloudformation:CreateStack,DescribeStacks stackName=sandbox-<run> capabilities=["CAPABILITY_IAM"]
= sandbox iam:CreateRole <service-role sandbox-<run> lambda> ; lambda:CreateFunction20150331 functionName=sandbox-<run> role=<iam>role/sandbox-<run>
lambda:DeleteFunction20150331 functionName=sandbox-<run> ; logs:DeleteLogGroup logGroupName=/aws/lambda/sandbox-<run> ; iam:DeleteRole roleName=sandbox-<run>
= remove cloudformation:DeleteStack,DescribeStacks stackName=sandbox-<run> ; s3:DeleteBucket <bucket sandbox-<run>> ; dynamodb:DeleteTable tableName=sandbox-<run>
sqs:DeleteQueue queueUrl=https://sqs.eu-west-1.amazonaws.com/111122223333/sandbox-<run>
= renewal route53:ChangeResourceRecordSets <change CREATE TXT _acme-challenge.<app>.example.com> ; route53:GetChange id=/change/C<run>
route53:ChangeResourceRecordSets <change DELETE TXT _acme-challenge.<app>.example.com> ; 50 acm:ImportCertificate certificateArn=<arn acm>certificate/<app>
= rotation secretsmanager:RotationStarted ++ <reported {"additionalEventData":{"SecretId":"<arn secretsmanager>secret:prod/<app>/db"}}>
= rotate secretsmanager:DescribeSecret,GetSecretValue,PutSecretValue,UpdateSecretVersionStage secretId=prod/<app>/db
= inventory iam:GenerateCredentialReport,GetCredentialReport,GetAccountAuthorizationDetails,ListUsers,GetAccountPasswordPolicy
s3:ListBuckets,GetBucketPolicyStatus,GetBucketPublicAccessBlock,GetBucketAcl <data> ; ec2@us-east-1:DescribeRegions,DescribeInstances,DescribeSecurityGroups <filter>
"#;

/// Weight, service with region, name, and the text of parameters, answer, and other members.
type Call = (u64, &'static str, &'static str, &'static str);

static NAME: LazyLock<BTreeMap<&str, &str>> = LazyLock::new(|| rows(NAMES).map(|row| cut(row, " ")).collect());
static PLAN: LazyLock<Vec<&str>> = LazyLock::new(|| rows(PLANS).collect());
static POOL: LazyLock<BTreeMap<&str, Vec<Call>>> = LazyLock::new(|| {
    let (mut pools, mut pool) = (BTreeMap::<_, Vec<_>>::new(), "");
    for row in rows(CALLS) {
        let (name, row) = row.strip_prefix("= ").map_or((pool, row), |row| cut(row, " "));
        pool = name;
        let (weight, row) = row.split_once(' ').filter(|(weight, _)| number(weight) > 0).unwrap_or(("100", row));
        let (head, text) = row.split_at(row.find(' ').unwrap_or(row.len()));
        let (service, names) = cut(head, ":");
        pools.entry(pool).or_default().extend(names.split(',').map(|name| (number(weight), service, name, text)));
    }
    pools
});

/// Leaks the table, once each.
fn rows(table: &str) -> impl Iterator<Item = &'static str> {
    table.replace("\n    ", " ").leak().trim().split('\n').flat_map(|line| line.split(" ; "))
}

fn cut<'t>(text: &'t str, at: &str) -> (&'t str, &'t str) {
    text.split_once(at).unwrap_or((text, ""))
}

/// As many as are wanted, the last with all that is left.
fn words<const N: usize>(text: &str) -> [&str; N] {
    let mut words = text.splitn(N, ' ');
    [(); N].map(|()| words.next().unwrap_or_default())
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_default()
}

/// The chance that a plan starts in a minute: of all together, the rate. Services work less at night, people not at all.
fn chance(plan: &str, minute: u64) -> f64 {
    let ([when, often, _], day, minute) = (words(plan), minute / 1440, minute % 1440);
    let ((hour, past), (every, first)) = (cut(often, ":"), cut(when, "+"));
    let is_workday = day % 7 < 5;
    let is_office = is_workday && (480..1080).contains(&minute);
    match (when, often.parse::<f64>()) {
        ("always", Ok(times)) => times / 1440.0 * if is_office { 1.3 } else { 0.78 },
        ("office", Ok(times)) => times / 600.0 * f64::from(is_office),
        _ if minute != number(hour) * 60 + number(past) => 0.0,
        ("workdays", _) => f64::from(is_workday),
        _ => f64::from(day % number(every) == number(first)),
    }
}

/// One start of a plan, and which part of it acts.
#[derive(Clone, Copy)]
struct Scene {
    seed: u64,
    start: u64,
    plan: &'static str,
    part: usize,
}

impl Scene {
    /// Actor, calls, count, pace.
    fn part(&self) -> [&'static str; 4] {
        words(self.plan.split(" | ").nth(self.part).expect("a part"))
    }

    /// Kind, principal, session, address, agent.
    fn actor(&self) -> [&'static str; 5] {
        let name = self.part()[0];
        words(NAME.get(name).unwrap_or(if name.starts_with('@') { &"service <host>" } else { &"event <host>" }))
    }
}

struct Ordinary {
    rng: Rng,
    /// The first that is not planned yet.
    minute: u64,
    /// Calls to come, by time and order.
    ahead: BTreeMap<(u64, u64), (&'static Call, Scene)>,
    planned: u64,
}

impl Ordinary {
    fn next(&mut self) -> Option<Value> {
        while self.ahead.first_key_value().is_none_or(|((at, _), _)| *at >= START + self.minute * 60) {
            for plan in PLAN.iter() {
                if (self.rng.below(1 << 32) as f64) < chance(plan, self.minute) * 4_294_967_296.0 {
                    self.start(plan);
                }
            }
            self.minute += 1;
        }
        self.ahead.pop_first().map(|((at, _), (call, scene))| self.record(at, call, &scene))
    }

    fn start(&mut self, plan: &'static str) {
        let (seed, start) = (self.rng.next(), START + self.minute * 60 + self.rng.below(60));
        let mut at = start;
        for part in 1..=plan.matches(" | ").count() {
            let scene = Scene { seed, start, plan, part };
            let [_, calls, count, pace] = scene.part();
            let calls: Vec<&Call> = match count.split_once('-') {
                None => POOL[calls].iter().filter(|call| self.rng.below(100) < call.0).collect(),
                Some((least, most)) => {
                    let all: Vec<&Call> = POOL[calls].iter().flat_map(|call| vec![call; call.0 as usize]).collect();
                    let count = number(least) + self.rng.below(number(most) - number(least) + 1);
                    (0..count).map(|_| self.rng.pick(&all)).collect()
                }
            };
            for call in calls {
                self.planned += 1;
                self.ahead.insert((at, self.planned), (call, scene));
                at += self.rng.below(2 * number(pace) + 1);
            }
        }
    }

    fn record(&mut self, at: u64, (_, service, name, text): &Call, scene: &Scene) -> Value {
        let ([kind, _, _, _, agent], (service, region)) = (scene.actor(), cut(service, "@"));
        let home = if GLOBAL.contains(&service) || kind == "other" { "us-east-1" } else { "eu-west-1" };
        let region = if region.is_empty() { home } else { region };
        let agent = if agent.is_empty() { "userAgent=\"<from>\"" } else { agent };
        let ((text, more), is_read) = (cut(text, " ++ "), READS.iter().any(|read| name.starts_with(read)));
        let (parameters, answer) = cut(text, " => ");
        let [parameters, answer] = [parameters, answer].map(|text| object(&self.fill(text, scene)));
        let record = format!("<record> eventTime={} eventName={name} userIdentity=<{kind}> {agent} {more}", stamp(at));
        let mut record = object(&self.fill(&record, scene));
        record["eventSource"] = json!(format!("{service}.amazonaws.com"));
        (record["awsRegion"], record["readOnly"]) = (json!(region), json!(is_read));
        (record["requestParameters"], record["responseElements"]) = (parameters, answer);
        if record["eventType"] == "AwsApiCall" {
            record["requestID"] = json!(self.rng.uuid());
        }
        record
    }

    /// Puts in what stands in `<…>`, the innermost first.
    fn fill(&mut self, text: &str, scene: &Scene) -> String {
        let mut text = text.to_owned();
        while let Some(end) = text.find('>') {
            let start = text[..end].rfind('<').expect("a `<`");
            let word = self.word(&text[start + 1..end], scene);
            text.replace_range(start..=end, &word);
        }
        text
    }

    fn word(&mut self, word: &str, scene: &Scene) -> String {
        let ((name, arg), [kind, principal, session, from, _]) = (cut(word, " "), scene.actor());
        // Applications renew their credentials by the hour; who signs in or assumes a role gets new ones.
        let is_lasting = matches!(kind, "lasting" | "linked");
        let (since, seed) = if is_lasting { (scene.start / 3600 * 3600, 0) } else { (scene.start, scene.seed) };
        let once = |what: &str| mix(what, scene.seed);
        let app = once("app").pick(&APPS);
        let own = |what: &str| mix(what, mix(app, 0).0);
        match name {
            "app" => app.to_owned(),
            "some" => self.rng.pick(&APPS).to_owned(),
            // Each has one to three of its own.
            "secret" => format!("prod/{app}/{}", self.rng.pick(&["db", "api-key", "signing"][..1 + app.len() % 3])),
            "one" => once(arg).pick(&arg.split('|').collect::<Vec<_>>()).to_owned(),
            "octet" => (100 + once(name).below(120)).to_string(),
            "run" => format!("{:010}", once(name).below(10_000_000_000)),
            "task" => format!("{:016x}{:016x}", own(name).next(), mix(app, self.minute / 1440).next()),
            "a" | "b" => format!("0{:016x}", once(name).next()),
            "id" => format!("0{:016x}", own(arg).next()),
            "x" => format!("0{:016x}", self.rng.next()),
            "n" => (1 + self.rng.below(number(arg))).to_string(),
            "uuid" => self.rng.uuid(),
            "kms" => format!("arn:aws:kms:eu-west-1:111122223333:key/{}", own(name).uuid()),
            "text" => json!(arg).to_string(),
            "next" => self.fill(&format!("<{arg}>"), &Scene { part: scene.part + 1, ..*scene }),
            "principal" => principal.to_owned(),
            "leaf" => self.fill(principal, scene).rsplit('/').next().unwrap_or_default().to_owned(),
            "name" => session.to_owned(),
            "from" => if from.is_empty() { principal } else { from }.to_owned(),
            "host" => format!("{}.amazonaws.com", &scene.part()[0][1..]),
            "path" if kind == "linked" => format!("aws-service-role/{from}/"),
            "by" if from.ends_with(".com") => format!(",\"invokedBy\":\"{from}\""),
            "path" | "by" => String::new(),
            "unique" => mix(arg, 0).id(&arg[..4], if arg.starts_with("AKIA") { 16 } else { 17 }),
            "since" => stamp(since),
            "key" => mix(&self.fill("<leaf>/<name>", scene), seed ^ since).id("ASIA", 16),
            _ => {
                let [first, second, third] = words(arg);
                NAME[name].replace("$1", first).replace("$2", second).replace("$3", third)
            }
        }
    }
}

/// `name=value …`, where a value is JSON or text, and whole objects.
fn object(text: &str) -> Value {
    let (mut all, mut depth, mut is_quoted) = (Map::new(), 0, false);
    let tokens = text.split(|c| {
        is_quoted ^= c == '"';
        depth += i32::from("{[".contains(c)) - i32::from("}]".contains(c));
        c == ' ' && depth == 0 && !is_quoted
    });
    for token in tokens.filter(|token| !token.is_empty()) {
        if token.starts_with('{') {
            all.extend(serde_json::from_str::<Map<String, Value>>(token).expect(token));
        } else {
            let (name, value) = cut(token, "=");
            all.insert(name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| json!(value)));
        }
    }
    if all.is_empty() { Value::Null } else { Value::Object(all) }
}

/// Xorshift64*.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 16) % end
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        let (middle, last) = (a >> 16 & 0xffff, b & 0xffff_ffff_ffff);
        format!("{:08x}-{middle:04x}-4{:03x}-8{:03x}-{last:012x}", a >> 32, a & 0xfff, b >> 52)
    }

    fn id(&mut self, prefix: &str, length: usize) -> String {
        let digits = (0..length).map(|_| char::from(self.pick(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")));
        prefix.chars().chain(digits).collect()
    }
}

/// The same for the same text and seed: FNV-1a.
fn mix(text: &str, seed: u64) -> Rng {
    let hash = text.bytes().fold(!seed, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    Rng(Rng(hash.max(1)).next().max(1))
}

/// Days to a date after Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn stamp(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, year) = (day - (153 * month + 2) / 5 + 1, year + era * 400 + month / 10);
    let (month, hour, minute, second) = ((month + 2) % 12 + 1, second / 3600, second / 60 % 60, second % 60);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_the_same_again_and_last_for_days() {
        let all: Vec<Value> = records(10_000, 7).collect();
        assert!(records(10_000, 7).eq(all.iter().cloned()) && !records(9, 8).eq(all[..9].iter().cloned()));
        let texts = |name: &'static str| all.iter().map(move |record| record[name].as_str().unwrap());
        assert!(texts("eventTime").is_sorted() && texts("eventTime").next_back() > Some("2026-11-19T00:00:00Z"));
        assert_eq!(texts("eventID").collect::<std::collections::BTreeSet<_>>().len(), all.len());
    }
}
