// Lets the cluster's service accounts sign in as the identities: the cluster's token is the only credential.

param prefix string

@description('Issuer of the cluster\'s tokens.')
param issuer string

@description('Kubernetes namespace that the services run in.')
param namespace string

@description('Whether there is a studio.')
param studio bool

var ofStudio = [
  {
    identity: 'web'
    namespace: namespace
    account: 'web'
  }
]

var accounts = [
  {
    identity: 'splitter'
    namespace: namespace
    account: 'splitter'
  }
  {
    identity: 'stylizer'
    namespace: namespace
    account: 'stylizer'
  }
  {
    identity: 'assembler'
    namespace: namespace
    account: 'assembler'
  }
  {
    identity: 'exporter'
    namespace: namespace
    account: 'exporter'
  }
  {
    // The add-on's operator; the trigger authentication names the identity.
    identity: 'keda'
    namespace: 'kube-system'
    account: 'keda-operator'
  }
]

var trusted = studio ? concat(accounts, ofStudio) : accounts

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = [
  for item in trusted: {
    name: '${prefix}-${item.identity}'
  }
]

resource credential 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2024-11-30' = [
  for (item, index) in trusted: {
    parent: identity[index]
    name: 'kubernetes'
    properties: {
      issuer: issuer
      subject: 'system:serviceaccount:${item.namespace}:${item.account}'
      audiences: [
        'api://AzureADTokenExchange'
      ]
    }
  }
]
