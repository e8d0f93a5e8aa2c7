"""How each sort of AWS resource is listed.

A listing is a page iterator of boto3 and the key under which it finds the objects; where a list
gives only names, `complete` turns a page of them into whole objects with as few calls as the API
allows. Objects are shown as CloudFormation names them: `Properties` with capital first letters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Objects = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Listing:
    """identifier: jq of what names an object. is_global: one list for all regions."""

    title: str
    service: str
    operation: str
    key: str
    identifier: str
    complete: Callable[[Any, Objects], Objects] | None = None
    is_global: bool = False
    arguments: Mapping[str, Any] | None = None

    def pages(self, client: Any) -> Iterator[list[dict[str, Any]]]:
        """Pages of objects, their top-level keys capitalised."""
        for page in self._raw(client):
            found = page
            for part in self.key.split("."):
                found = _members(found, part)
            objects = self.complete(client, found) if self.complete and found else found
            yield [capitalised(one) for one in objects]

    def _raw(self, client: Any) -> Iterator[Any]:
        arguments = self.arguments or {}
        if client.can_paginate(self.operation):
            yield from client.get_paginator(self.operation).paginate(**arguments)
        else:
            yield getattr(client, self.operation)(**arguments)


def _members(holder: Any, key: str) -> list[Any]:
    """`Reservations.Instances` walks through lists on its way."""
    holders = holder if isinstance(holder, list) else [holder]
    return [one for each in holders for one in each.get(key) or []]


def capitalised(one: Any) -> dict[str, Any]:
    return {key[:1].upper() + key[1:]: value for key, value in one.items()}


def tags(pairs: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Tags in the one form [{"Key", "Value"}], of the several that services use."""
    if isinstance(pairs, Mapping):
        return [{"Key": key, "Value": value} for key, value in pairs.items()]
    return [capitalised(one) for one in pairs or []]


def _chunks(objects: Objects, size: int) -> Iterator[list[Any]]:
    for start in range(0, len(objects), size):
        yield list(objects[start : start + size])


def _buckets(client: Any, buckets: Objects) -> Objects:
    from botocore.exceptions import ClientError

    found = []
    for bucket in buckets:
        name = bucket["Name"]
        whole = {
            "BucketName": name,
            "Arn": f"arn:aws:s3:::{name}",
            "CreationDate": bucket.get("CreationDate"),
            "Tags": [],
        }
        if bucket.get("BucketRegion"):
            whole["BucketRegion"] = bucket["BucketRegion"]
        try:
            whole["Tags"] = tags(client.get_bucket_tagging(Bucket=name)["TagSet"])
        except ClientError as error:
            # A bucket without tags is an error there, and one may be listed without being read.
            code = error.response.get("Error", {}).get("Code")
            if code not in ("NoSuchTagSet", "AccessDenied", "NoSuchBucket"):
                raise
        found.append(whole)
    return found


def _clusters(client: Any, arns: Objects) -> Objects:
    return [
        one
        for chunk in _chunks(arns, 100)
        for one in client.describe_clusters(clusters=chunk, include=["TAGS"])["clusters"]
    ]


def _services(client: Any, cluster_arns: Objects) -> Objects:
    found: list[Any] = []
    for cluster in cluster_arns:
        for page in client.get_paginator("list_services").paginate(cluster=cluster):
            for chunk in _chunks(page["serviceArns"], 10):
                answer = client.describe_services(cluster=cluster, services=chunk, include=["TAGS"])
                found += answer["services"]
    return found


def _task_definitions(client: Any, arns: Objects) -> Objects:
    return [client.describe_task_definition(taskDefinition=arn)["taskDefinition"] for arn in arns]


def _tables(client: Any, names: Objects) -> Objects:
    return [client.describe_table(TableName=name)["Table"] for name in names]


def _queues(client: Any, urls: Objects) -> Objects:
    found = []
    for url in urls:
        answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        attributes = {
            key: int(value) if value.lstrip("-").isdecimal() and "Timestamp" not in key else value
            for key, value in answer.get("Attributes", {}).items()
        }
        found.append({"QueueUrl": url, "QueueName": url.rsplit("/", 1)[-1], **attributes})
    return found


def _topics(client: Any, topics: Objects) -> Objects:
    return [
        {
            "TopicName": one["TopicArn"].rsplit(":", 1)[-1],
            **client.get_topic_attributes(TopicArn=one["TopicArn"])["Attributes"],
        }
        for one in topics
    ]


def _eks(client: Any, names: Objects) -> Objects:
    return [client.describe_cluster(name=name)["cluster"] for name in names]


def _projects(client: Any, names: Objects) -> Objects:
    return [
        one
        for chunk in _chunks(names, 100)
        for one in client.batch_get_projects(names=chunk)["projects"]
    ]


def _identities(client: Any, identities: Objects) -> Objects:
    found = []
    for one in identities:
        whole = client.get_email_identity(EmailIdentity=one["IdentityName"])
        found.append({**one, **{k: v for k, v in whole.items() if k != "ResponseMetadata"}})
    return found


def _secrets(_client: Any, secrets: Objects) -> Objects:
    """Their names only: the catalogue may know that a secret is there, not what it holds."""
    return [{k: v for k, v in one.items() if k != "SecretString"} for one in secrets]


LISTINGS: Final[Mapping[str, Listing]] = {
    "AWS::S3::Bucket": Listing(
        "S3 buckets", "s3", "list_buckets", "Buckets", ".Properties.Arn", _buckets, is_global=True
    ),
    "AWS::EC2::Instance": Listing(
        "EC2 instances",
        "ec2",
        "describe_instances",
        "Reservations.Instances",
        ".Properties.InstanceId",
    ),
    "AWS::EC2::Volume": Listing(
        "EBS volumes", "ec2", "describe_volumes", "Volumes", ".Properties.VolumeId"
    ),
    "AWS::EC2::VPC": Listing("VPCs", "ec2", "describe_vpcs", "Vpcs", ".Properties.VpcId"),
    "AWS::EC2::Subnet": Listing(
        "Subnets", "ec2", "describe_subnets", "Subnets", ".Properties.SubnetId"
    ),
    "AWS::EC2::SecurityGroup": Listing(
        "Security groups",
        "ec2",
        "describe_security_groups",
        "SecurityGroups",
        ".Properties.GroupId",
    ),
    "AWS::ECS::Cluster": Listing(
        "ECS clusters", "ecs", "list_clusters", "clusterArns", ".Properties.ClusterArn", _clusters
    ),
    "AWS::ECS::Service": Listing(
        "ECS services", "ecs", "list_clusters", "clusterArns", ".Properties.ServiceArn", _services
    ),
    "AWS::ECS::TaskDefinition": Listing(
        "ECS task definitions",
        "ecs",
        "list_task_definitions",
        "taskDefinitionArns",
        ".Properties.TaskDefinitionArn",
        _task_definitions,
        arguments={"status": "ACTIVE"},
    ),
    "AWS::EKS::Cluster": Listing(
        "EKS clusters", "eks", "list_clusters", "clusters", ".Properties.Arn", _eks
    ),
    "AWS::ECR::Repository": Listing(
        "ECR repositories",
        "ecr",
        "describe_repositories",
        "repositories",
        ".Properties.RepositoryArn",
    ),
    "AWS::Lambda::Function": Listing(
        "Lambda functions", "lambda", "list_functions", "Functions", ".Properties.FunctionArn"
    ),
    "AWS::RDS::DBInstance": Listing(
        "RDS instances",
        "rds",
        "describe_db_instances",
        "DBInstances",
        ".Properties.DBInstanceArn",
    ),
    "AWS::RDS::DBCluster": Listing(
        "RDS clusters", "rds", "describe_db_clusters", "DBClusters", ".Properties.DBClusterArn"
    ),
    "AWS::DynamoDB::Table": Listing(
        "DynamoDB tables", "dynamodb", "list_tables", "TableNames", ".Properties.TableArn", _tables
    ),
    "AWS::SQS::Queue": Listing(
        "SQS queues", "sqs", "list_queues", "QueueUrls", ".Properties.QueueArn", _queues
    ),
    "AWS::SNS::Topic": Listing(
        "SNS topics", "sns", "list_topics", "Topics", ".Properties.TopicArn", _topics
    ),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": Listing(
        "Load balancers",
        "elbv2",
        "describe_load_balancers",
        "LoadBalancers",
        ".Properties.LoadBalancerArn",
    ),
    "AWS::CloudFormation::Stack": Listing(
        "CloudFormation stacks",
        "cloudformation",
        "describe_stacks",
        "Stacks",
        ".Properties.StackId",
    ),
    "AWS::CodeBuild::Project": Listing(
        "CodeBuild projects",
        "codebuild",
        "list_projects",
        "projects",
        ".Properties.Arn",
        _projects,
    ),
    "AWS::SES::EmailIdentity": Listing(
        "E-mail identities",
        "sesv2",
        "list_email_identities",
        "EmailIdentities",
        ".Properties.IdentityName",
        _identities,
    ),
    "AWS::SecretsManager::Secret": Listing(
        "Secrets (names only)",
        "secretsmanager",
        "list_secrets",
        "SecretList",
        ".Properties.ARN",
        _secrets,
    ),
    "AWS::Route53::HostedZone": Listing(
        "DNS zones",
        "route53",
        "list_hosted_zones",
        "HostedZones",
        ".Properties.Id",
        is_global=True,
    ),
    "AWS::IAM::Role": Listing(
        "IAM roles", "iam", "list_roles", "Roles", ".Properties.Arn", is_global=True
    ),
}
