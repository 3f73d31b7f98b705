// The Event Hubs namespace with the three hubs between the services.
// Partition counts are fixed once a hub exists on this tier: see docs/azure.md before changing one.

param name string
param location string
param tags object

@description('Hubs to create: name, partitions, retentionHours.')
param hubs array

@description('Consumer group to create in every hub.')
param consumerGroup string

@allowed([
  'Standard'
  'Premium'
])
param tier string

@description('Initial throughput units (Standard) or processing units (Premium).')
param capacity int

@description('Maximum throughput units to which a Standard namespace scales automatically.')
param maxCapacity int

@description('Whether only private endpoints and trusted Microsoft services have access.')
param closed bool

@description('Subnet of the nodes, named in the firewall of a closed namespace.')
param nodesSubnetId string

param logsId string

var grows = tier == 'Standard' && maxCapacity > capacity

var nodesAlone = [
  {
    subnet: {
      id: nodesSubnetId
    }
    ignoreMissingVnetServiceEndpoint: true
  }
]

resource namespace 'Microsoft.EventHub/namespaces@2024-01-01' = {
  name: name
  location: location
  tags: tags
  sku: {
    name: tier
    tier: tier
    capacity: capacity
  }
  properties: {
    // Nobody signs in with a key.
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
    publicNetworkAccess: 'Enabled'
    isAutoInflateEnabled: grows
    maximumThroughputUnits: grows ? maxCapacity : 0
  }
}

resource access 'Microsoft.EventHub/namespaces/networkRuleSets@2024-01-01' = {
  parent: namespace
  name: 'default'
  properties: {
    // Not 'Disabled', which would shut out Event Grid, too: it delivers uploads by its identity, from
    // outside the network, and gets in as a trusted service of the firewall.
    publicNetworkAccess: 'Enabled'
    trustedServiceAccessEnabled: true
    defaultAction: closed ? 'Deny' : 'Allow'
    // A firewall without any rule admits everybody, whatever its default action is.
    virtualNetworkRules: closed ? nodesAlone : []
  }
}

resource hub 'Microsoft.EventHub/namespaces/eventhubs@2024-01-01' = [
  for item in hubs: {
    parent: namespace
    name: item.name
    properties: {
      partitionCount: item.partitions
      retentionDescription: {
        cleanupPolicy: 'Delete'
        retentionTimeInHours: item.retentionHours
      }
    }
  }
]

resource group 'Microsoft.EventHub/namespaces/eventhubs/consumergroups@2024-01-01' = [
  for (item, index) in hubs: {
    parent: hub[index]
    name: consumerGroup
    properties: {
      userMetadata: 'The one service that reads this hub; KEDA watches how far it has come.'
    }
  }
]

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: namespace
  name: 'logs'
  properties: {
    workspaceId: logsId
    logs: [
      {
        categoryGroup: 'allLogs'
        enabled: true
      }
    ]
  }
}

output name string = namespace.name
output id string = namespace.id
output host string = '${namespace.name}.servicebus.windows.net'
