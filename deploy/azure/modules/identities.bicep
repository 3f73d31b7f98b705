// An identity for each service, so that each may do what it needs and no more.

param prefix string
param location string
param tags object

@description('Whether there is a studio, which needs an identity.')
param studio bool

resource splitter 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: '${prefix}-splitter'
  location: location
  tags: tags
}

resource stylizer 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: '${prefix}-stylizer'
  location: location
  tags: tags
}

resource assembler 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: '${prefix}-assembler'
  location: location
  tags: tags
}

resource exporter 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: '${prefix}-exporter'
  location: location
  tags: tags
}

resource web 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = if (studio) {
  name: '${prefix}-web'
  location: location
  tags: tags
}

resource keda 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: '${prefix}-keda'
  location: location
  tags: tags
}

resource cluster 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: '${prefix}-cluster'
  location: location
  tags: tags
}

@description('Object ids by the names that access.json uses.')
output principals object = {
  splitter: splitter.properties.principalId
  stylizer: stylizer.properties.principalId
  assembler: assembler.properties.principalId
  exporter: exporter.properties.principalId
  web: studio ? web!.properties.principalId : ''
  keda: keda.properties.principalId
}

output splitterClientId string = splitter.properties.clientId
output stylizerClientId string = stylizer.properties.clientId
output assemblerClientId string = assembler.properties.clientId
output exporterClientId string = exporter.properties.clientId
output webClientId string = studio ? web!.properties.clientId : ''
output kedaClientId string = keda.properties.clientId

output clusterId string = cluster.id
output clusterPrincipalId string = cluster.properties.principalId
