// Builds and stores the images. Nodes pull with their own identity; there is no admin user.

param name string
param location string
param tags object

@allowed([
  'Basic'
  'Standard'
  'Premium'
])
param tier string

resource registry 'Microsoft.ContainerRegistry/registries@2025-04-01' = {
  name: name
  location: location
  tags: tags
  sku: {
    name: tier
  }
  properties: {
    adminUserEnabled: false
    anonymousPullEnabled: false
  }
}

output name string = registry.name
output host string = registry.properties.loginServer
