"""Which model of Microsoft's SDKs describes a resource type, and in which API version."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

_AUTHORIZATION = "authorization.v2022_04_01"


@dataclass(frozen=True, slots=True)
class ResourceModel:
    """What a PUT of the resource sends.

    Args:
        package: Below azure.mgmt.
        model: Class in the package's models.
        version: The API version that the package's model is of.
    """

    package: str
    model: str
    version: str

    def load(self) -> Any:
        return getattr(importlib.import_module(f"azure.mgmt.{self.package}.models"), self.model)


_APP, _STORAGE, _POSTGRES = "2026-07-01", "2026-09-01", "2026-10-01"
_NETWORK, _ZONES, _VAULT = "2026-03-01", "2024-06-01", "2026-05-15"

RESOURCE_MODELS = {
    "Microsoft.App/containerApps": ResourceModel("appcontainers", "ContainerApp", _APP),
    "Microsoft.App/jobs": ResourceModel("appcontainers", "Job", _APP),
    "Microsoft.App/managedEnvironments": ResourceModel("appcontainers", "ManagedEnvironment", _APP),
    "Microsoft.App/managedEnvironments/storages": ResourceModel("appcontainers", "ManagedEnvironmentStorage", _APP),
    "Microsoft.Authorization/roleAssignments": ResourceModel(
        _AUTHORIZATION, "RoleAssignmentCreateParameters", "2022-04-01"
    ),
    "Microsoft.DBforPostgreSQL/flexibleServers": ResourceModel("postgresqlflexibleservers", "Server", _POSTGRES),
    "Microsoft.DBforPostgreSQL/flexibleServers/configurations": ResourceModel(
        "postgresqlflexibleservers", "Configuration", _POSTGRES
    ),
    "Microsoft.DBforPostgreSQL/flexibleServers/databases": ResourceModel(
        "postgresqlflexibleservers", "Database", _POSTGRES
    ),
    "Microsoft.DataFactory/factories": ResourceModel("datafactory", "Factory", "2018-06-01"),
    "Microsoft.DataFactory/factories/pipelines": ResourceModel("datafactory", "PipelineResource", "2018-06-01"),
    "Microsoft.Insights/actionGroups": ResourceModel("monitor", "ActionGroupResource", "2023-01-01"),
    "Microsoft.Insights/metricAlerts": ResourceModel("monitor", "MetricAlertResource", "2018-03-01"),
    "Microsoft.KeyVault/vaults": ResourceModel("keyvault", "VaultCreateOrUpdateParameters", _VAULT),
    "Microsoft.KeyVault/vaults/secrets": ResourceModel("keyvault", "SecretCreateOrUpdateParameters", _VAULT),
    "Microsoft.Network/networkSecurityGroups": ResourceModel("network", "NetworkSecurityGroup", _NETWORK),
    "Microsoft.Network/privateDnsZones": ResourceModel("privatedns", "PrivateZone", _ZONES),
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": ResourceModel("privatedns", "VirtualNetworkLink", _ZONES),
    "Microsoft.Network/privateEndpoints": ResourceModel("network", "PrivateEndpoint", _NETWORK),
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": ResourceModel(
        "network", "PrivateDnsZoneGroup", _NETWORK
    ),
    "Microsoft.Network/virtualNetworks": ResourceModel("network", "VirtualNetwork", _NETWORK),
    "Microsoft.OperationalInsights/workspaces": ResourceModel("loganalytics", "Workspace", "2025-07-01"),
    "Microsoft.Storage/storageAccounts": ResourceModel("storage", "StorageAccountCreateParameters", _STORAGE),
    "Microsoft.Storage/storageAccounts/blobServices": ResourceModel("storage", "BlobServiceProperties", _STORAGE),
    "Microsoft.Storage/storageAccounts/blobServices/containers": ResourceModel("storage", "BlobContainer", _STORAGE),
    "Microsoft.Storage/storageAccounts/fileServices": ResourceModel("storage", "FileServiceProperties", _STORAGE),
    "Microsoft.Storage/storageAccounts/fileServices/shares": ResourceModel("storage", "FileShare", _STORAGE),
}

# A resource that has a name, a place and tags alone needs no SDK to say so; azure-mgmt-msi is spared.
BARE_RESOURCES = {"Microsoft.ManagedIdentity/userAssignedIdentities": "2024-11-30"}
