// Where logs go: the workspace that every diagnostic setting and the containers' output write to.

param name string
param location string
param tags object

@description('Days that logs are kept.')
param retentionDays int

@description('Most gigabytes taken in a day; a runaway log then ends at a known price.')
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
      // Reading needs a role; the workspace's keys are off.
      disableLocalAuth: true
    }
  }
}

output id string = workspace.id
