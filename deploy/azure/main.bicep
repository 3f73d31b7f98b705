// Everything that the pipeline needs in Azure, in one resource group. `azd provision` deploys it;
// docs/azure.md explains the parameters and the cost.

targetScope = 'subscription'

@minLength(1)
@maxLength(40)
@description('Name of the azd environment; the resource group is called rg-NAME.')
param environmentName string

@description('Region of all resources. GPU sizes and their quota differ between regions.')
param location string

@description('Object id of the person who deploys and operates; azd fills it in. Empty: nobody gets permissions.')
param principalId string = ''

@allowed([
  'User'
  'Group'
  'ServicePrincipal'
])
@description('Type of that principal.')
param principalType string = 'User'

@description('Kubernetes version, such as 1.33; empty: AKS\'s default.')
param kubernetesVersion string = ''

@allowed([
  'Free'
  'Standard'
])
@description('Tier of the cluster\'s control plane: Standard has an uptime guarantee and is charged by the hour.')
param clusterTier string = 'Standard'

@description('Public IPv4 ranges, comma-separated, that may reach the API server; empty: all, and only Entra restricts access.')
param apiServerIpRanges string = ''

@description('VM size of the nodes for Kubernetes itself, the splitter and the assembler.')
param systemVmSize string = 'Standard_D4ds_v5'

@minValue(1)
@description('Minimum number of these nodes.')
param systemMinNodes int = 1

@minValue(1)
@description('Maximum number of these nodes.')
param systemMaxNodes int = 4

@description('VM size of the GPU nodes; each runs one stylizer.')
param gpuVmSize string = 'Standard_NC4as_T4_v3'

@minValue(0)
@maxValue(32)
@description('Maximum number of GPU nodes; beyond 32, stylizers would get no partition of the hub of frames. 0: no such pool.')
param gpuMaxNodes int = 8

@description('Whether GPU nodes are spot capacity: far cheaper, but may be taken back at any time.')
param gpuSpot bool = true

@description('VM size of the nodes for stylizers without a GPU; one with 8 vCPUs runs two.')
param cpuVmSize string = 'Standard_D8ds_v5'

@minValue(0)
@maxValue(32)
@description('Maximum number of these nodes; 0: no such pool.')
param cpuMaxNodes int = 0

@description('Whether the nodes\' local disks are encrypted, too; this feature has to be registered first.')
param hostEncryption bool = false

@allowed([
  'Standard'
  'Premium'
])
@description('Tier of the Event Hubs namespace.')
param eventHubsTier string = 'Standard'

@minValue(1)
@description('Initial throughput units (Standard) or processing units (Premium).')
param eventHubsCapacity int = 1

@minValue(1)
@maxValue(40)
@description('Maximum throughput units to which a Standard namespace scales automatically.')
param eventHubsMaxCapacity int = 4

@allowed([
  'Standard_LRS'
  'Standard_ZRS'
  'Standard_GRS'
])
@description('Redundancy of the users\' account; the internal account is Standard_LRS.')
param mediaRedundancy string = 'Standard_LRS'

@minValue(0)
@maxValue(365)
@description('Days for which deleted uploads and results can be restored; 0: not at all.')
param softDeleteDays int = 7

@allowed([
  'Basic'
  'Standard'
  'Premium'
])
@description('Tier of the container registry.')
param registryTier string = 'Basic'

@description('Whether hubs and blobs are reachable only through private endpoints (and by Event Grid).')
param privateNetwork bool = false

@description('Public IPv4 ranges, comma-separated, from which users can reach their account even if privateNetwork is on.')
param clientIpRanges string = ''

@description('Whether to deploy the studio, the page for uploading and watching videos, behind an ingress of your own.')
param studio bool = false

@description('Address at which browsers reach the studio, such as https://NAME.')
param studioUrl string = ''

@description('Application (client) id with which people sign in to the studio.')
param studioClientId string = ''

@description('Whether to create a Grafana with the dashboards of deploy/monitoring.')
param grafana bool = true

@description('Email address for alerts; empty: alerts are shown only in the portal.')
param alertEmail string = ''

@description('Address at which docs/runbook.md is published, such as a page of your wiki; alerts link to its sections.')
param runbookUrl string = 'docs/runbook.md'

@minValue(30)
@maxValue(730)
@description('Days for which logs are kept.')
param logRetentionDays int = 30

@minValue(1)
@description('Maximum gigabytes of logs ingested per day.')
param logDailyQuotaGb int = 5

var layout = loadJsonContent('layout.json')
var access = loadJsonContent('access.json')

var token = uniqueString(subscription().id, environmentName, location)
var prefix = 'stylestream-${token}'
var tags = {
  'azd-env-name': environmentName
}

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module logs 'modules/logs.bicep' = {
  scope: group
  name: 'logs'
  params: {
    name: prefix
    location: location
    tags: tags
    retentionDays: logRetentionDays
    dailyQuotaGb: logDailyQuotaGb
  }
}

module network 'modules/network.bicep' = {
  scope: group
  name: 'network'
  params: {
    name: prefix
    location: location
    tags: tags
  }
}

module identities 'modules/identities.bicep' = {
  scope: group
  name: 'identities'
  params: {
    prefix: prefix
    location: location
    tags: tags
    studio: studio
  }
}

module eventHubs 'modules/eventhubs.bicep' = {
  scope: group
  name: 'eventhubs'
  params: {
    name: prefix
    location: location
    tags: tags
    hubs: layout.hubs
    consumerGroup: layout.consumerGroup
    tier: eventHubsTier
    capacity: eventHubsCapacity
    maxCapacity: eventHubsMaxCapacity
    closed: privateNetwork
    nodesSubnetId: network.outputs.nodesSubnetId
    logsId: logs.outputs.id
  }
}

module media 'modules/storage.bicep' = {
  scope: group
  name: 'media'
  params: {
    name: 'media${token}'
    location: location
    tags: tags
    containers: layout.accounts.media
    softDeleteDays: softDeleteDays
    redundancy: mediaRedundancy
    closed: privateNetwork
    clientIpRanges: empty(clientIpRanges) ? [] : split(clientIpRanges, ',')
    origins: studio ? [studioUrl] : []
    logsId: logs.outputs.id
  }
}

module internal 'modules/storage.bicep' = {
  scope: group
  name: 'internal'
  params: {
    name: 'internal${token}'
    location: location
    tags: tags
    containers: layout.accounts.internal
    softDeleteDays: 0
    redundancy: 'Standard_LRS'
    closed: privateNetwork
    clientIpRanges: []
    origins: []
    logsId: logs.outputs.id
  }
}

module events 'modules/events.bicep' = {
  scope: group
  name: 'events'
  params: {
    name: prefix
    location: location
    tags: tags
    mediaAccountName: media.outputs.name
    internalAccountName: internal.outputs.name
    namespaceName: eventHubs.outputs.name
    uploadsContainer: layout.uploads.container
    uploadsHub: layout.uploads.hub
    undeliveredContainer: layout.uploads.undelivered
    closed: privateNetwork
    roles: access.roles
  }
}

module grants 'modules/access.bicep' = {
  scope: group
  name: 'access'
  params: {
    namespaceName: eventHubs.outputs.name
    mediaAccountName: media.outputs.name
    internalAccountName: internal.outputs.name
    topicName: events.outputs.topicName
    principals: identities.outputs.principals
    access: access
    studio: studio
  }
}

module endpoints 'modules/endpoints.bicep' = if (privateNetwork) {
  scope: group
  name: 'endpoints'
  params: {
    name: prefix
    location: location
    tags: tags
    networkId: network.outputs.id
    subnetId: network.outputs.endpointsSubnetId
    namespaceId: eventHubs.outputs.id
    mediaAccountId: media.outputs.id
    internalAccountId: internal.outputs.id
    topicId: events.outputs.topicId
  }
}

module registry 'modules/registry.bicep' = {
  scope: group
  name: 'registry'
  params: {
    name: 'images${token}'
    location: location
    tags: tags
    tier: registryTier
  }
}

module dashboards 'modules/dashboards.bicep' = {
  scope: group
  name: 'dashboards'
  params: {
    name: prefix
    location: location
    tags: tags
    grafana: grafana
    roles: access.roles
  }
}

module cluster 'modules/cluster.bicep' = {
  scope: group
  name: 'cluster'
  params: {
    name: prefix
    location: location
    tags: tags
    identityId: identities.outputs.clusterId
    identityPrincipalId: identities.outputs.clusterPrincipalId
    nodesSubnetId: network.outputs.nodesSubnetId
    logsId: logs.outputs.id
    kubernetesVersion: kubernetesVersion
    tier: clusterTier
    systemVmSize: systemVmSize
    systemMinNodes: systemMinNodes
    systemMaxNodes: systemMaxNodes
    hostEncryption: hostEncryption
    apiServerIpRanges: empty(apiServerIpRanges) ? [] : split(apiServerIpRanges, ',')
    roles: access.roles
  }
}

module pools 'modules/pools.bicep' = {
  scope: group
  name: 'pools'
  params: {
    clusterName: cluster.outputs.name
    nodesSubnetId: network.outputs.nodesSubnetId
    hostEncryption: hostEncryption
    gpuVmSize: gpuVmSize
    gpuMaxNodes: gpuMaxNodes
    gpuSpot: gpuSpot
    cpuVmSize: cpuVmSize
    cpuMaxNodes: cpuMaxNodes
  }
}

module pull 'modules/pull.bicep' = {
  scope: group
  name: 'pull'
  params: {
    registryName: registry.outputs.name
    kubeletPrincipalId: cluster.outputs.kubeletPrincipalId
    roles: access.roles
  }
}

module federation 'modules/federation.bicep' = {
  scope: group
  name: 'federation'
  params: {
    prefix: prefix
    issuer: cluster.outputs.issuer
    namespace: layout.kubernetesNamespace
    studio: studio
  }
}

module collection 'modules/collection.bicep' = {
  scope: group
  name: 'collection'
  params: {
    clusterName: cluster.outputs.name
    location: location
    tags: tags
    metricsId: dashboards.outputs.metricsId
    logsId: logs.outputs.id
    namespaces: [
      layout.kubernetesNamespace
    ]
  }
}

module alerts 'modules/alerts.bicep' = {
  scope: group
  name: 'alerts'
  params: {
    location: location
    tags: tags
    metricsId: dashboards.outputs.metricsId
    email: alertEmail
    runbookUrl: runbookUrl
    uploadsTopicId: events.outputs.uploadsTopicId
    eventHubsId: eventHubs.outputs.id
  }
}

module operator 'modules/operator.bicep' = if (!empty(principalId)) {
  scope: group
  name: 'operator'
  params: {
    principalId: principalId
    principalType: principalType
    clusterName: cluster.outputs.name
    mediaAccountName: media.outputs.name
    internalAccountName: internal.outputs.name
    namespaceName: eventHubs.outputs.name
    ownContainers: layout.operator
    grafanaName: dashboards.outputs.grafanaName
    roles: access.roles
  }
}

// What azd itself looks for.
output AZURE_RESOURCE_GROUP string = group.name
output AZURE_TENANT_ID string = tenant().tenantId
output AZURE_AKS_CLUSTER_NAME string = cluster.outputs.name
output AZURE_CONTAINER_REGISTRY_NAME string = registry.outputs.name
output AZURE_CONTAINER_REGISTRY_ENDPOINT string = registry.outputs.host

// What the services and the command line read, under the names that they read.
output EVENTHUB_FULLY_QUALIFIED_NAMESPACE string = eventHubs.outputs.host
output STORAGE_ACCOUNT_URL string = internal.outputs.blobUrl
output MEDIA_STORAGE_ACCOUNT_URL string = media.outputs.blobUrl
output EVENTGRID_TOPIC_ENDPOINT string = events.outputs.topicEndpoint
output CONSUMER_GROUP string = layout.consumerGroup

// What the manifests want besides.
output INTERNAL_STORAGE_ACCOUNT string = internal.outputs.name
output SPLITTER_CLIENT_ID string = identities.outputs.splitterClientId
output STYLIZER_CLIENT_ID string = identities.outputs.stylizerClientId
output ASSEMBLER_CLIENT_ID string = identities.outputs.assemblerClientId
output EXPORTER_CLIENT_ID string = identities.outputs.exporterClientId
output WEB_CLIENT_ID string = identities.outputs.webClientId
output KEDA_CLIENT_ID string = identities.outputs.kedaClientId
output STYLES_CONTAINER string = layout.styles
// One on a machine with a GPU, two on one without; the hub of frames has 32 partitions.
output STYLIZER_MAX_REPLICAS int = gpuMaxNodes > 0 ? gpuMaxNodes : min(cpuMaxNodes * 2, 32)
output STYLIZER_POOL string = gpuMaxNodes > 0 ? 'gpu' : 'cpu'
// Back to azd, for the manifests.
output STUDIO_URL string = studio ? studioUrl : ''
output STUDIO_CLIENT_ID string = studio ? studioClientId : ''
output GRAFANA_ENDPOINT string = dashboards.outputs.grafanaEndpoint
