use super::super::fake::{Fake, Step};
use super::*;

const URL: &str = "http://127.0.0.1/111122223333/trail";

async fn queue(script: impl IntoIterator<Item = Step>) -> (Fake, Queue) {
    let attributes = r#"{"Attributes": {"VisibilityTimeout": "30"}}"#;
    let opening = Step::answer(200, &[JSON], attributes.as_bytes());
    let fake = Fake::start([opening].into_iter().chain(script)).await;
    let url = Url::parse(URL).expect("it is a URL");
    let queue = Queue::open(aws::queue_client(&fake.aws(), &url), &url).await.expect("it can be opened");
    (fake, queue)
}

const JSON: (&str, &str) = ("Content-Type", "application/x-amz-json-1.0");

fn refusal(status: u16, code: &str, old_code: &str) -> Step {
    let body = format!(r#"{{"__type": "com.amazonaws.sqs#{code}", "message": "because"}}"#);
    let old_code = format!("{old_code};Sender");
    Step::answer(status, &[JSON, ("x-amzn-query-error", &old_code)], body.as_bytes())
}

fn receipts(count: usize) -> Vec<Receipt> {
    (0..count).map(|number| Receipt::new(number.to_string())).collect()
}

#[tokio::test]
async fn a_delivery_that_cannot_be_renewed_any_more_is_told_from_a_renewal_that_failed() {
    let script = [
        refusal(400, "ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid"),
        refusal(400, "MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight"),
        refusal(400, "InvalidParameterValueException", "InvalidParameterValue"),
    ];
    let (fake, queue) = queue(script).await;
    for _ in 0..3 {
        let error = queue.renew(&Receipt::new("r".to_owned())).await.expect_err("it is refused");
        assert!(matches!(error, QueueError::Gone { .. }), "{error:?}");
        assert!(error.to_string().contains(": because)"), "{error}");
    }
    drop(fake);

    let (_fake, queue) = self::queue([refusal(400, "Unexpected", "Unexpected")]).await;
    let error = queue.renew(&Receipt::new("r".to_owned())).await.expect_err("it is refused");
    assert!(matches!(error, QueueError::Failed { .. }), "{error:?}");
    assert_eq!(error.to_string(), format!("ChangeMessageVisibility on {URL} failed: Unexpected: because"));
}

#[tokio::test]
async fn a_request_that_is_denied_names_the_permission_that_it_needs() {
    let denied = || refusal(403, "AccessDeniedException", "AccessDenied");
    let (_fake, queue) =
        queue([denied(), denied(), refusal(400, "AccessDeniedException", "AccessDenied")]).await;
    for (error, action) in [
        (queue.receive(10, Duration::ZERO).await.expect_err("it is denied"), "sqs:ReceiveMessage"),
        (queue.delete(receipts(1)).await.expect_err("it is denied"), "sqs:DeleteMessage on"),
        (queue.release(&receipts(1)[0]).await.expect_err("it is denied"), "sqs:ChangeMessageVisibility"),
    ] {
        assert!(matches!(error, QueueError::Forbidden { .. }), "{error:?}");
        assert!(error.to_string().contains(&format!("grant {action}")), "{error}");
    }
}

#[tokio::test]
async fn each_message_of_a_batch_has_its_own_outcome() {
    let answer = r#"{
        "Successful": [{"Id": "0"}, {"Id": "77"}],
        "Failed": [
            {"Id": "2", "SenderFault": true, "Code": "ReceiptHandleIsInvalid"},
            {"Id": "1", "SenderFault": false, "Code": "InternalError", "Message": "Sorry"},
            {"Id": "x", "SenderFault": false, "Code": "InternalError"}
        ]
    }"#;
    let (_fake, queue) = queue([Step::answer(200, &[JSON], answer.as_bytes())]).await;
    let outcomes = queue.delete(receipts(4)).await.expect("the queue answers");
    let expected = [
        DeleteOutcome::Deleted,
        DeleteOutcome::Failed("InternalError".to_owned()),
        DeleteOutcome::Refused("ReceiptHandleIsInvalid".to_owned()),
        DeleteOutcome::Failed("not in the answer".to_owned()),
    ];
    assert_eq!(outcomes, expected);
}

#[test]
fn a_redrive_policy_is_read_whichever_way_its_count_is_written() {
    let arn = "arn:aws:sqs:eu-central-1:111122223333:trail-dead";
    for count in ["4", "\"4\""] {
        let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":{count}}}"#);
        let expected = Redrive { max_receive_count: 4, dead_letter_queue_arn: arn.to_owned() };
        assert_eq!(redrive(&policy), Some(expected));
    }
    for policy in ["", "{}", r#"{"maxReceiveCount":4}"#, r#"{"maxReceiveCount":-1,"deadLetterTargetArn":""}"#]
    {
        assert_eq!(redrive(policy), None, "{policy}");
    }
}

#[test]
fn a_message_without_its_attributes_is_still_a_message() {
    let raw = aws_sdk_sqs::types::Message::builder().body("b").receipt_handle("r");
    let bare = message(raw.clone().build(), Instant::now());
    assert_eq!((bare.body.as_str(), bare.sent_at, bare.receive_count), ("b", None, None));

    let odd = raw
        .clone()
        .attributes(MessageSystemAttributeName::SentTimestamp, i128::MAX.to_string())
        .attributes(MessageSystemAttributeName::ApproximateReceiveCount, "many")
        .build();
    assert_eq!(message(odd, Instant::now()).sent_at, None);

    let whole = raw
        .attributes(MessageSystemAttributeName::SentTimestamp, "1700000000123")
        .attributes(MessageSystemAttributeName::ApproximateReceiveCount, "3")
        .build();
    let whole = message(whole, Instant::now());
    assert_eq!(whole.sent_at.map(OffsetDateTime::unix_timestamp), Some(1_700_000_000));
    assert_eq!(whole.receive_count, Some(3));
}

#[tokio::test]
async fn a_denial_that_is_no_missing_permission_says_what_it_is() {
    for (status, code, told) in [
        (403, "ExpiredToken", "have expired"),
        (400, "ExpiredTokenException", "have expired"),
        (403, "RequestExpired", "clock of this host"),
        (403, "SignatureDoesNotMatch", "the signature does not match"),
        (403, "InvalidClientTokenId", "does not know the credentials"),
        (400, "KmsAccessDenied", "kms:Decrypt"),
        (400, "KmsDisabled", "kms:Decrypt"),
    ] {
        let (_fake, queue) = queue([refusal(status, code, code)]).await;
        let error = queue.renew(&receipts(1)[0]).await.expect_err("it is refused").to_string();
        assert!(error.contains(told) && !error.contains("grant sqs:"), "{code}: {error}");
    }
    let page = Step::answer(403, &[("Content-Type", "text/html")], b"<html>Blocked by policy</html>");
    let (_fake, queue) = queue([page]).await;
    let error = queue.renew(&receipts(1)[0]).await.expect_err("it is refused").to_string();
    assert!(error.contains("before the server refused the request"), "{error}");
    let (_fake, queue) = self::queue([refusal(403, "OverLimit", "OverLimit")]).await;
    let error = queue.renew(&receipts(1)[0]).await.expect_err("it is refused");
    assert!(matches!(error, QueueError::Failed { .. }), "{error}");
}

#[tokio::test]
async fn the_depth_is_what_the_queue_says_and_a_denial_is_no_depth() {
    let attributes = r#"{"Attributes": {"ApproximateNumberOfMessages": "17"}}"#;
    let script = [
        Step::answer(200, &[JSON], attributes.as_bytes()),
        refusal(403, "AccessDeniedException", "AccessDenied"),
    ];
    let (_fake, queue) = queue(script).await;
    assert_eq!(queue.depth().await.expect("it is told"), 17);
    assert!(matches!(queue.depth().await, Err(QueueError::Forbidden { .. })));
}
