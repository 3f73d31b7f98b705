// The workspace for logs: diagnostic settings and the containers' output.

param name string
param location string
param tags object

@description('Days for which logs are kept.')
param retentionDays int

@description('Maximum gigabytes of logs ingested per day, which bounds the price of a runaway log.')
param dailyQuotaGb int

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: retentionDays
    workspaceCapping: {
      dailyQuotaGb: dailyQuotaGb
    }
    features: {
      // Reading requires a role; the workspace's keys are disabled.
      disableLocalAuth: true
    }
  }
}

output id string = workspace.id
