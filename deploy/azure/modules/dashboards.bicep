// Metrics and their display: an Azure Monitor workspace, and Grafana, which reads it.
// import_dashboards.py imports the dashboards after provisioning.

param name string
param location string
param tags object

@description('Whether to create a Grafana; metrics are collected either way.')
param grafana bool

@description('Role ids by name, from access.json.')
param roles object

resource metrics 'Microsoft.Monitor/accounts@2023-04-03' = {
  name: name
  location: location
  tags: tags
}

resource viewer 'Microsoft.Dashboard/grafana@2025-08-01' = if (grafana) {
  // The longest name that Grafana may have.
  name: take(name, 23)
  location: location
  tags: tags
  sku: {
    name: 'Standard'
  }
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    apiKey: 'Disabled'
    zoneRedundancy: 'Disabled'
    publicNetworkAccess: 'Enabled'
    grafanaIntegrations: {
      azureMonitorWorkspaceIntegrations: [
        {
          azureMonitorWorkspaceResourceId: metrics.id
        }
      ]
    }
  }
}

resource mayRead 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (grafana) {
  scope: metrics
  name: guid(metrics.id, viewer.id, 'read')
  properties: {
    principalId: viewer!.identity.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles['Monitoring Data Reader'])
  }
}

output metricsId string = metrics.id
output grafanaName string = grafana ? viewer.name : ''
output grafanaEndpoint string = grafana ? viewer!.properties.endpoint : ''
