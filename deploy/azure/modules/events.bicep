// Event Grid: announces every new video to the hub `uploads`, and to subscribers how jobs end.

param name string
param location string
param tags object

param mediaAccountName string
param internalAccountName string
param namespaceName string

@description('Container of the users\' account in which a new blob starts a job.')
param uploadsContainer string

@description('Hub to which it is announced.')
param uploadsHub string

@description('Container of the internal account for events that could not be delivered in a day.')
param undeliveredContainer string

@description('Whether events can be published only from inside the network; subscribers get them either way.')
param closed bool

@description('Role ids by name, from access.json.')
param roles object

resource media 'Microsoft.Storage/storageAccounts@2024-01-01' existing = {
  name: mediaAccountName
}

resource undelivered 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' existing = {
  name: '${internalAccountName}/default/${undeliveredContainer}'
}

resource internal 'Microsoft.Storage/storageAccounts@2024-01-01' existing = {
  name: internalAccountName
}

resource hub 'Microsoft.EventHub/namespaces/eventhubs@2024-01-01' existing = {
  name: '${namespaceName}/${uploadsHub}'
}

resource uploads 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: '${name}-uploads'
  location: location
  tags: tags
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    source: media.id
    topicType: 'Microsoft.Storage.StorageAccounts'
  }
}

resource maySend 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: hub
  name: guid(hub.id, uploads.id, 'deliver')
  properties: {
    principalId: uploads.identity.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles['Azure Event Hubs Data Sender'])
  }
}

resource mayKeep 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: undelivered
  name: guid(undelivered.id, uploads.id, 'keep')
  properties: {
    principalId: uploads.identity.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles['Storage Blob Data Contributor'])
  }
}

resource subscription 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: uploads
  name: 'to-the-hub'
  properties: {
    eventDeliverySchema: 'CloudEventSchemaV1_0'
    deliveryWithResourceIdentity: {
      identity: {
        type: 'SystemAssigned'
      }
      destination: {
        endpointType: 'EventHub'
        properties: {
          resourceId: hub.id
        }
      }
    }
    // Results and records are in the same account: only blobs in uploads start a job. With a hierarchical
    // namespace, files may also be renamed into it.
    filter: {
      includedEventTypes: [
        'Microsoft.Storage.BlobCreated'
        'Microsoft.Storage.BlobRenamed'
      ]
      subjectBeginsWith: '/blobServices/default/containers/${uploadsContainer}/'
    }
    retryPolicy: {
      eventTimeToLiveInMinutes: 1440
      maxDeliveryAttempts: 30
    }
    deadLetterWithResourceIdentity: {
      identity: {
        type: 'SystemAssigned'
      }
      deadLetterDestination: {
        endpointType: 'StorageBlob'
        properties: {
          resourceId: internal.id
          blobContainerName: undeliveredContainer
        }
      }
    }
  }
  dependsOn: [
    maySend
    mayKeep
  ]
}

resource announcements 'Microsoft.EventGrid/topics@2025-02-15' = {
  name: '${name}-announcements'
  location: location
  tags: tags
  properties: {
    inputSchema: 'CloudEventSchemaV1_0'
    disableLocalAuth: true
    minimumTlsVersionAllowed: '1.2'
    publicNetworkAccess: closed ? 'Disabled' : 'Enabled'
  }
}

output uploadsTopicId string = uploads.id
output topicId string = announcements.id
output topicName string = announcements.name
output topicEndpoint string = announcements.properties.endpoint
