"""Breaking the CloudFormation template turns the tests red; what the template promises is looked up in it."""

from __future__ import annotations

from functools import cache
from typing import Any

import cfnlint.decode
import pytest

from infra.validate import INFRA
from tests.infra.conftest import Break

PLACE = "aws/lakehouse.cloudformation.yaml"
# What would be lost with the stack, and what keeps it.
STATEFUL = {
    "AWS::EFS::FileSystem": "RetainExceptOnCreate",
    "AWS::S3::Bucket": "RetainExceptOnCreate",
    "AWS::Backup::BackupVault": "RetainExceptOnCreate",
    "AWS::RDS::DBInstance": "Snapshot",
}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("      Encrypted: true\n", "      Encrypted: true\n      Encrypt: true\n", "E3002"),
        ("      DesiredCount: 1\n", "      DesiredCount: one\n", "E3012"),
        ("FileSystemId: !Ref Lake\n", "FileSystemId: !Ref Lakee\n", "Lakee"),
        ("!GetAtt Mirror.Arn", "!GetAtt Mirror.Name", "Name"),
        ("Type: AWS::EFS::FileSystem", "Type: AWS::EFS::Filesystem", "E3006"),
        ("    DeletionPolicy: Snapshot", "    DeletionPolicy: Keep", "E3035"),
        ("DependsOn: [ApiListener", "DependsOn: [ApiListner", "E3005"),
        ("FromPort: 443, ToPort", "FromPort: https, ToPort", "E3012"),
        ("FromPort: 443, ToPort: 443", "FromPort: 443, ToPort: many", "E3012"),
        ("    MinValue: 20", "    Minimum: 20", "E2001"),
        ("DBInstanceClass: !Ref DatabaseInstanceClass", "DBInstanceClass: db.enormous", "db.enormous"),
        ("SSEAlgorithm: AES256", "SSEAlgorithm: ROT13", "ROT13"),
        ('Memory: "2048"', 'Memory: "3"', "E3047"),
        ("Cpu: !FindInMap [Worker, ", "Cpu: !FindInMap [Workers, ", "Workers"),
        ("  WorkerGroup:\n", "  SpareGroup:\n", "WorkerGroup"),
        ("LAKEHOUSE_API__WORKERS", "LAKEHOUSE_API__WORKER", "LAKEHOUSE_API__WORKER"),
        ("PREFECT_API_AUTH_STRING", "PREFECT_API_AUTH", "no setting of the installed Prefect"),
        ("Resources:\n", "Resources: {\n", "E0000"),
    ],
)
def test_a_broken_template_is_reported(broken: Break, old: str, new: str, said: str) -> None:
    assert said in "\n".join(broken(PLACE, old, new))


@cache
def resources() -> dict[str, dict[str, Any]]:
    template, _ = cfnlint.decode.decode(str(INFRA / PLACE))
    found: dict[str, dict[str, Any]] = template["Resources"]
    return found


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    return {name: r["Properties"] for name, r in resources().items() if r["Type"] == kind}


@cache
def parameters() -> dict[str, dict[str, Any]]:
    template, _ = cfnlint.decode.decode(str(INFRA / PLACE))
    found: dict[str, dict[str, Any]] = template["Parameters"]
    return found


def test_a_deleted_stack_leaves_lake_mirror_backups_and_a_snapshot_of_the_database() -> None:
    policies = {r["Type"]: r["DeletionPolicy"] for r in resources().values() if r["Type"] in STATEFUL}
    assert policies == STATEFUL
    replaced = {r["Type"]: r["UpdateReplacePolicy"] for r in resources().values() if r["Type"] in STATEFUL}
    assert replaced == {kind: "Snapshot" if policy == "Snapshot" else "Retain" for kind, policy in STATEFUL.items()}


def test_what_is_stored_is_encrypted_and_nothing_is_public() -> None:
    (lake,), (database,) = of_type("AWS::EFS::FileSystem").values(), of_type("AWS::RDS::DBInstance").values()
    assert lake["Encrypted"] is True
    assert (database["StorageEncrypted"], database["PubliclyAccessible"]) == (True, False)
    (mirror,) = of_type("AWS::S3::Bucket").values()
    assert set(mirror["PublicAccessBlockConfiguration"].values()) == {True}
    assert mirror["VersioningConfiguration"] == {"Status": "Enabled"}
    (balancer,) = of_type("AWS::ElasticLoadBalancingV2::LoadBalancer").values()
    assert balancer["Scheme"] == "internal"
    assert {listener["Protocol"] for listener in of_type("AWS::ElasticLoadBalancingV2::Listener").values()} == {"HTTPS"}
    assert not of_type("AWS::EC2::InternetGateway")


def test_only_the_load_balancer_is_reached_by_addresses_all_else_by_group() -> None:
    by_address = {
        name
        for name, group in of_type("AWS::EC2::SecurityGroup").items()
        for rule in group.get("SecurityGroupIngress", ())
        if "SourceSecurityGroupId" not in rule
    }
    assert by_address == {"LoadBalancerGroup"}


def test_no_service_ever_runs_two_tasks() -> None:
    for name, service in of_type("AWS::ECS::Service").items():
        count = service["DesiredCount"]
        assert count in (1, {"Fn::If": ["ApiRuns", 1, 0]}), name
        rolling = service["DeploymentConfiguration"]
        assert (rolling["MinimumHealthyPercent"], rolling["MaximumPercent"]) == (0, 100), name
        # Rebalancing starts the new task before it ends the old one.
        assert service["AvailabilityZoneRebalancing"] == "DISABLED", name


def test_passwords_are_generated_and_handed_over_as_secrets() -> None:
    for task in of_type("AWS::ECS::TaskDefinition").values():
        for container in task["ContainerDefinitions"]:
            plain = {variable["Name"] for variable in container.get("Environment", ())}
            assert not {name for name in plain if "PASSWORD" in name or "AUTH_STRING" in name}
    generated = {name for name, s in of_type("AWS::SecretsManager::Secret").items() if "GenerateSecretString" in s}
    assert generated == {"DatabaseSecret", "PrefectPassword"}


def test_an_api_key_that_is_shown_in_a_session_is_not_logged() -> None:
    (cluster,) = of_type("AWS::ECS::Cluster").values()
    assert cluster["Configuration"]["ExecuteCommandConfiguration"] == {"Logging": "NONE"}
    shells = {name for name, s in of_type("AWS::ECS::Service").items() if s.get("EnableExecuteCommand")}
    assert shells == {"WorkerService"}


def test_no_role_may_do_everything() -> None:
    for name, role in of_type("AWS::IAM::Role").items():
        for policy in role.get("Policies", ()):
            for statement in policy["PolicyDocument"]["Statement"]:
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                assert not [action for action in actions if action.endswith("*")], name
                if statement["Resource"] == "*":
                    # Session channels belong to no resource.
                    assert {action.partition(":")[0] for action in actions} == {"ssmmessages"}, name


def test_every_parameter_says_what_it_is_and_takes_only_what_can_be() -> None:
    limits = {"AllowedPattern", "AllowedValues", "MinValue"}
    assert {name for name, p in parameters().items() if "Description" not in p or not limits & p.keys()} == set()


def test_logs_are_kept_for_a_limited_time_and_alarms_reach_somebody() -> None:
    assert all("RetentionInDays" in log for log in of_type("AWS::Logs::LogGroup").values())
    alarms = of_type("AWS::CloudWatch::Alarm")
    assert {alarm["MetricName"] for alarm in alarms.values()} >= {
        "CPUUtilization",
        "MemoryUtilization",
        "FreeStorageSpace",
        "HTTPCode_Target_5XX_Count",
        "HealthyHostCount",
        "RunningTaskCount",
    }
    assert all(alarm["AlarmActions"] == [{"Ref": "Alarms"}] for alarm in alarms.values())


def test_the_daily_backup_holds_lake_and_database() -> None:
    (selection,) = of_type("AWS::Backup::BackupSelection").values()
    assert selection["BackupSelection"]["Resources"] == [
        {"Fn::GetAtt": ["Lake", "Arn"]},
        {"Fn::GetAtt": ["Database", "DBInstanceArn"]},
    ]


def test_the_template_fits_into_one_request() -> None:
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html: TemplateBody.
    assert (INFRA / PLACE).stat().st_size <= 51_200
