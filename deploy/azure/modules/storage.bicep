// One storage account: its containers, and how long each keeps its blobs.
// The services sign in with their identities; there are no account keys and no public blobs.

param name string
param location string
param tags object

@description('Containers to create: container, and deleteAfterDays (0: blobs are kept until somebody deletes them).')
param containers array

@description('Days for which deleted blobs can be restored; 0: not at all. It must be 0 where consumers keep their positions: soft delete would keep every overwritten one.')
param softDeleteDays int

@allowed([
  'Standard_LRS'
  'Standard_ZRS'
  'Standard_GRS'
])
param redundancy string

@description('Whether only private endpoints, trusted Microsoft services and clientIpRanges have access.')
param closed bool

@description('Public IPv4 addresses or ranges that have access even if the account is closed.')
param clientIpRanges array

@description('Origins whose pages may put blobs by signed links, such as https://NAME.')
param origins array

param logsId string

var recoverable = {
  enabled: true
  days: softDeleteDays
}

var gone = {
  enabled: false
}

var expiring = filter(containers, item => item.deleteAfterDays > 0)

resource account 'Microsoft.Storage/storageAccounts@2024-01-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: redundancy
  }
  properties: {
    accessTier: 'Hot'
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    // Not 'Disabled', which would shut out Event Grid, too: it keeps undeliverable events by its
    // identity, from outside the network, and gets in as a trusted service of the firewall.
    publicNetworkAccess: 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: closed ? 'Deny' : 'Allow'
      ipRules: [
        for range in clientIpRanges: {
          value: range
          action: 'Allow'
        }
      ]
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2024-01-01' = {
  parent: account
  name: 'default'
  properties: {
    isVersioningEnabled: false
    cors: {
      corsRules: [
        for origin in origins: {
          allowedOrigins: [
            origin
          ]
          allowedMethods: [
            'PUT'
          ]
          allowedHeaders: []
          exposedHeaders: []
          maxAgeInSeconds: 3600
        }
      ]
    }
    deleteRetentionPolicy: softDeleteDays > 0 ? recoverable : gone
    containerDeleteRetentionPolicy: softDeleteDays > 0 ? recoverable : gone
  }
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' = [
  for item in containers: {
    parent: blobs
    name: item.container
    properties: {
      publicAccess: 'None'
    }
  }
]

resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2024-01-01' = if (!empty(expiring)) {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        for item in expiring: {
          name: 'expire-${item.container}'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: {
              blobTypes: [
                'blockBlob'
              ]
              prefixMatch: [
                '${item.container}/'
              ]
            }
            actions: {
              baseBlob: {
                delete: {
                  daysAfterModificationGreaterThan: item.deleteAfterDays
                }
              }
            }
          }
        }
      ]
    }
  }
  dependsOn: [
    container
  ]
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: blobs
  name: 'logs'
  properties: {
    workspaceId: logsId
    logs: [
      // Deletions. Reads and writes are as many as chunks, and would cost more than they are worth.
      {
        category: 'StorageDelete'
        enabled: true
      }
    ]
  }
}

output name string = account.name
output id string = account.id
output blobUrl string = 'https://${account.name}.blob.${environment().suffixes.storage}'
