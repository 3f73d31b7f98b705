// The permissions of the person who deploys afterwards: kubectl, the command line, dead letters and
// dashboards. Left out where no person deploys.

param principalId string

@allowed([
  'User'
  'Group'
  'ServicePrincipal'
])
param principalType string

param clusterName string
param mediaAccountName string
param internalAccountName string
param namespaceName string

@description('Containers of the internal account that people may change.')
param ownContainers array

@description('Empty: no Grafana.')
param grafanaName string

@description('Role ids by name, from access.json.')
param roles object

resource cluster 'Microsoft.ContainerService/managedClusters@2025-07-01' existing = {
  name: clusterName
}

resource media 'Microsoft.Storage/storageAccounts@2024-01-01' existing = {
  name: mediaAccountName
}

resource internal 'Microsoft.Storage/storageAccounts@2024-01-01' existing = {
  name: internalAccountName
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' existing = [
  for item in ownContainers: {
    name: '${internalAccountName}/default/${item}'
  }
]

resource namespace 'Microsoft.EventHub/namespaces@2024-01-01' existing = {
  name: namespaceName
}

resource viewer 'Microsoft.Dashboard/grafana@2025-08-01' existing = if (!empty(grafanaName)) {
  name: grafanaName
}

resource runsCluster 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: cluster
  name: guid(cluster.id, principalId, 'run')
  properties: {
    principalId: principalId
    principalType: principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles['Azure Kubernetes Service RBAC Cluster Admin'])
  }
}

// Uploads, results and records, and the links that `stylestream link` makes.
resource usesMedia 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: media
  name: guid(media.id, principalId, 'use')
  properties: {
    principalId: principalId
    principalType: principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles['Storage Blob Data Contributor'])
  }
}

resource readsInternal 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: internal
  name: guid(internal.id, principalId, 'read')
  properties: {
    principalId: principalId
    principalType: principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles['Storage Blob Data Reader'])
  }
}

// Dead letters that were dealt with, and additional styles.
resource keepsOwn 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (item, index) in ownContainers: {
    scope: container[index]
    name: guid(container[index].id, principalId, 'keep')
    properties: {
      principalId: principalId
      principalType: principalType
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles['Storage Blob Data Contributor'])
    }
  }
]

// `stylestream dead-letters --redrive` sends events again.
resource sends 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: namespace
  name: guid(namespace.id, principalId, 'send')
  properties: {
    principalId: principalId
    principalType: principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles['Azure Event Hubs Data Sender'])
  }
}

// `stylestream doctor` looks at the hubs.
resource looks 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: namespace
  name: guid(namespace.id, principalId, 'look')
  properties: {
    principalId: principalId
    principalType: principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles['Azure Event Hubs Data Receiver'])
  }
}

resource keepsDashboards 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(grafanaName)) {
  scope: viewer
  name: guid(viewer.id, principalId, 'keep')
  properties: {
    principalId: principalId
    principalType: principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles['Grafana Admin'])
  }
}
