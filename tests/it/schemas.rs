//! Items of another version of Cordon, older or newer: refused by name, and never overwritten.

use crate::lab::{Lab, kind};
use anyhow::Result;
use cordon_support::Answer;
use serde_json::{Value, json};

async fn item(lab: &Lab, pk: &str) -> Result<Value> {
    let key = json!({"TableName": "cordon", "Key": {"pk": {"S": pk}, "sk": {"S": "HEAD"}}, "ConsistentRead": true});
    Ok(lab.call("dynamodb", "get_item", key).await?["Item"].clone())
}

async fn set_schema(lab: &Lab, pk: &str, schema: &str) -> Result<()> {
    let set = json!({"TableName": "cordon", "Key": {"pk": {"S": pk}, "sk": {"S": "HEAD"}}, "UpdateExpression": "SET #s = :s",
        "ExpressionAttributeNames": {"#s": "schema"}, "ExpressionAttributeValues": {":s": {"N": schema}}});
    lab.call("dynamodb", "update_item", set).await.map(drop)
}

#[tokio::test]
async fn items_of_another_schema_are_refused_by_name_and_never_overwritten() -> Result<()> {
    for schema in ["0", "2"] {
        for whose in ["target", "incident", "sensors"] {
            let lab = Lab::durable().await?;
            let event = lab.event("key-used-from-outside")?;
            lab.sweep().await?;
            let report = lab.deliver(&event).await?;
            assert_eq!(kind(&report), "Contained", "{report:#}");
            let incident = report["incident"].as_str().unwrap();
            let pk = match whose {
                "target" => format!("T#{}#global#user#{}", lab.account, lab.id("/user/id")),
                "incident" => format!("I#{incident}"),
                _ => format!("SENSORS#{}#us-east-1", lab.account),
            };
            set_schema(&lab, &pk, schema).await?;
            let before = item(&lab, &pk).await?;
            lab.proxy.clear();
            lab.clock.advance(std::time::Duration::from_secs(10))?;
            let names = format!("schema {schema}; this version knows 1");
            if whose != "sensors" {
                let Answer::Error(error) = lab.function.invoke(&lab.newer(&event)?).await? else { panic!("{whose}") };
                assert!(
                    error.to_string().contains(&names) || lab.function.logs().join("\n").contains(&names),
                    "{whose}: {error}"
                );
                let released = lab.cordon(&["release", incident]).await?;
                let said = String::from_utf8_lossy(&released.stderr).into_owned();
                assert!(released.status.code() == Some(1) && said.contains(&names), "{whose}: {said}");
            }
            assert_eq!(lab.changes(), Vec::<String>::new(), "{whose} {schema}");
            let swept = lab.sweep().await;
            let is_said = swept.is_err() || swept.is_ok_and(|swept| swept["failed"] != 0);
            assert!(is_said || whose != "sensors", "{schema}: the sweep says nothing of it");
            assert_eq!(item(&lab, &pk).await?, before, "{whose} {schema}");
        }
    }
    Ok(())
}
