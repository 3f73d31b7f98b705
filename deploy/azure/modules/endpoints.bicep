// Private endpoints: inside the network the hubs, the blobs and the topic get private addresses.

param name string
param location string
param tags object
param networkId string
param subnetId string

param namespaceId string
param mediaAccountId string
param internalAccountId string
param topicId string

var zones = [
  'privatelink.servicebus.windows.net'
  'privatelink.blob.${environment().suffixes.storage}'
  'privatelink.eventgrid.azure.net'
]

var targets = [
  {
    name: 'hubs'
    id: namespaceId
    group: 'namespace'
    zone: 0
  }
  {
    name: 'media'
    id: mediaAccountId
    group: 'blob'
    zone: 1
  }
  {
    name: 'internal'
    id: internalAccountId
    group: 'blob'
    zone: 1
  }
  {
    name: 'announcements'
    id: topicId
    group: 'topic'
    zone: 2
  }
]

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for item in zones: {
    name: item
    location: 'global'
    tags: tags
  }
]

resource link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (item, index) in zones: {
    parent: zone[index]
    name: name
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: {
        id: networkId
      }
    }
  }
]

resource endpoint 'Microsoft.Network/privateEndpoints@2024-07-01' = [
  for item in targets: {
    name: '${name}-${item.name}'
    location: location
    tags: tags
    properties: {
      subnet: {
        id: subnetId
      }
      privateLinkServiceConnections: [
        {
          name: item.name
          properties: {
            privateLinkServiceId: item.id
            groupIds: [
              item.group
            ]
          }
        }
      ]
    }
  }
]

resource address 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-07-01' = [
  for (item, index) in targets: {
    parent: endpoint[index]
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [
        {
          name: 'default'
          properties: {
            privateDnsZoneId: zone[item.zone].id
          }
        }
      ]
    }
  }
]
