// Every role of a service on a hub, a container or the topic, as access.json lists them. docs/security.md
// gives the reasons; a test compares the two.

param namespaceName string
param mediaAccountName string
param internalAccountName string
param topicName string

@description('Object ids of the identities by name.')
param principals object

@description('The table: roles (ids by name), and hubs, containers, studio, delegators, topics (who gets which role on what).')
param access object

@description('Whether there is a studio.')
param studio bool

var onContainers = studio ? concat(access.containers, access.studio) : access.containers
var onAccounts = studio ? access.delegators : []

var accountNames = {
  media: mediaAccountName
  internal: internalAccountName
}

resource hub 'Microsoft.EventHub/namespaces/eventhubs@2024-01-01' existing = [
  for grant in access.hubs: {
    name: '${namespaceName}/${grant.hub}'
  }
]

resource onHub 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (grant, index) in access.hubs: {
    scope: hub[index]
    name: guid(hub[index].id, principals[grant.identity], grant.role)
    properties: {
      principalId: principals[grant.identity]
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', access.roles[grant.role])
    }
  }
]

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' existing = [
  for grant in onContainers: {
    name: '${accountNames[grant.account]}/default/${grant.container}'
  }
]

resource onContainer 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (grant, index) in onContainers: {
    scope: container[index]
    name: guid(container[index].id, principals[grant.identity], grant.role)
    properties: {
      principalId: principals[grant.identity]
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', access.roles[grant.role])
    }
  }
]

resource account 'Microsoft.Storage/storageAccounts@2024-01-01' existing = [
  for grant in onAccounts: {
    name: accountNames[grant.account]
  }
]

// Keys for signed links are issued by an account, not by a container. By themselves they grant nothing.
resource onAccount 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (grant, index) in onAccounts: {
    scope: account[index]
    name: guid(account[index].id, principals[grant.identity], grant.role)
    properties: {
      principalId: principals[grant.identity]
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', access.roles[grant.role])
    }
  }
]

resource topic 'Microsoft.EventGrid/topics@2025-02-15' existing = {
  name: topicName
}

resource onTopic 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in access.topics: {
    scope: topic
    name: guid(topic.id, principals[grant.identity], grant.role)
    properties: {
      principalId: principals[grant.identity]
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', access.roles[grant.role])
    }
  }
]
