"""AWS against moto's server: real boto3, real HTTP."""

import json
from urllib.request import Request, urlopen

import boto3
import pytest
from moto.server import ThreadedMotoServer

from catalog.ingest.sources.aws import Aws
from catalog.kernel.errors import AddressRefused, UpstreamRefused, UpstreamUnavailable
from catalog.kernel.http import Client
from catalog.kernel.source import Connection

REGIONS = ["eu-central-1", "us-east-1"]
kind = Aws()


@pytest.fixture(scope="module")
def server():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def endpoint(server):
    with urlopen(Request(f"{server}/moto-api/reset", method="POST")):
        return server


@pytest.fixture
def make_connection(endpoint, settings):
    settings.IDP_HTTP_ALLOW = ["127.0.0.1"]

    def make(**given):
        defaults = {
            "accessKeyId": "AKIAEXAMPLE",
            "secretAccessKey": "not-a-secret",
            "regions": REGIONS,
            "endpointUrl": endpoint,
        }
        return Connection({**defaults, **given}, Client(), lambda level, message: None)

    return make


@pytest.fixture
def make_service(endpoint):
    def make(service, region=REGIONS[0]):
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=endpoint,
            aws_access_key_id="AKIAEXAMPLE",
            aws_secret_access_key="not-a-secret",
        )

    return make


def listed(connection, name, selector=None, cursor=None):
    pages = list(kind.fetch(connection, kind.resource(name), selector or {}, cursor))
    assert [page.next for page in pages].index(None) == len(pages) - 1  # ends once, at the end
    return [item for page in pages for item in page.items]


def test_it_says_whose_account_it_is(make_connection):
    assert kind.check(make_connection()) == [
        "Logged in to account 123456789012.",
        "Regions: eu-central-1, us-east-1.",
    ]


def test_objects_of_every_region_are_listed_with_where_they_are(make_connection, make_service):
    for region in REGIONS:
        make_service("sqs", region).create_queue(QueueName=f"orders-{region}")
    found = listed(make_connection(), "AWS::SQS::Queue")
    assert [one["Properties"]["QueueName"] for one in found] == [
        "orders-eu-central-1",
        "orders-us-east-1",
    ]
    assert found[1]["__ExtraContext"] == {"AccountId": "123456789012", "Region": "us-east-1"}
    assert found[1]["Properties"]["QueueArn"].endswith(":us-east-1:123456789012:orders-us-east-1")
    assert found[1]["Properties"]["VisibilityTimeout"] == 30  # a number, as Port has it
    json.dumps(found)
    only = listed(make_connection(), "AWS::SQS::Queue", {"regions": ["us-east-1"]})
    assert [one["__Region"] for one in only] == ["us-east-1"]


def test_a_resumed_list_goes_on_in_its_region(make_connection, make_service):
    for region in REGIONS:
        make_service("sns", region).create_topic(Name="news")
    found = listed(make_connection(), "AWS::SNS::Topic", cursor=1)
    assert [one["__Region"] for one in found] == ["us-east-1"]


def test_long_lists_come_in_pages(make_connection, make_service):
    tables = make_service("dynamodb")
    for number in range(103):  # a page of names has a hundred
        tables.create_table(
            TableName=f"t{number}",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    connection = make_connection(regions=REGIONS[:1])
    resource = kind.resource("AWS::DynamoDB::Table")
    pages = [len(page.items) for page in kind.fetch(connection, resource, {})]
    assert pages == [100, 3, 0]


def test_lists_of_names_become_whole_objects(make_connection, make_service):
    make_service("ecs").create_cluster(clusterName="shop", tags=[{"key": "team", "value": "core"}])
    [cluster] = listed(make_connection(), "AWS::ECS::Cluster")
    assert cluster["Properties"]["ClusterName"] == "shop"
    assert cluster["Properties"]["Tags"] == [{"Key": "team", "Value": "core"}]


def test_buckets_are_listed_once_whatever_the_regions(make_connection, make_service):
    buckets = make_service("s3", "us-east-1")
    buckets.create_bucket(Bucket="plain")
    buckets.create_bucket(Bucket="tagged")
    buckets.put_bucket_tagging(
        Bucket="tagged", Tagging={"TagSet": [{"Key": "team", "Value": "core"}]}
    )
    found = listed(make_connection(), "AWS::S3::Bucket")
    assert [(one["Properties"]["Arn"], one["Properties"]["Tags"]) for one in found] == [
        ("arn:aws:s3:::plain", []),
        ("arn:aws:s3:::tagged", [{"Key": "team", "Value": "core"}]),
    ]


def test_further_accounts_are_reached_by_their_roles(make_connection, make_service):
    role = "arn:aws:iam::210987654321:role/reader"
    connection = make_connection(roleArns=[role], regions=REGIONS[:1])
    make_service("sqs").create_queue(QueueName="of-the-first-account")
    [account] = listed(connection, "AWS::Account::Info")
    assert account["Properties"]["Id"] == "210987654321"
    assert "of-the-first-account" not in str(listed(connection, "AWS::SQS::Queue"))


def test_secrets_are_known_by_name_alone(make_connection, make_service):
    make_service("secretsmanager").create_secret(Name="db", SecretString="hunter2")
    found = listed(make_connection(), "AWS::SecretsManager::Secret")
    assert [one["Properties"]["Name"] for one in found] == ["db"]
    assert "hunter2" not in json.dumps(found)


def test_any_other_type_is_asked_of_cloud_control():
    resource = kind.resource("AWS::Kinesis::Stream")
    assert resource.identifier == ".Identifier"
    assert kind.resource("AWS::Kinesis") is None
    assert kind.resource("EC2 instance") is None


@pytest.mark.parametrize("missing", ["accessKeyId", "secretAccessKey"])
def test_missing_keys_are_named(make_connection, missing):
    with pytest.raises(UpstreamRefused, match=f"{missing} is missing"):
        kind.check(make_connection(**{missing: ""}))


def test_an_endpoint_inside_the_network_needs_the_operators_word(make_connection, settings):
    connection = make_connection()
    settings.IDP_HTTP_ALLOW = []
    with pytest.raises(AddressRefused, match=r"settings\.endpointUrl"):
        kind.check(connection)


def test_an_endpoint_that_is_away_is_worth_another_try(make_connection, monkeypatch):
    from botocore.config import Config

    from catalog.ingest.sources.aws import access

    monkeypatch.setattr(access, "_LIMITS", Config(retries={"max_attempts": 0}))
    with pytest.raises(UpstreamUnavailable, match=r"127\.0\.0\.1:9"):
        kind.check(make_connection(endpointUrl="http://127.0.0.1:9"))
